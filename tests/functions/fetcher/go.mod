module countersign.example/fetcher

go 1.24

require countersign.internal/sdk v0.0.0

replace countersign.internal/sdk => ../../../sdk
