module countersign/sdk

go 1.24
