module countersign.example/native

go 1.26

require countersign.internal/sdk v0.0.0

replace countersign.internal/sdk => ../../../sdk
