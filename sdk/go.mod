module countersign.internal/sdk

go 1.24
