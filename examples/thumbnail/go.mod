module countersign.example/thumbnail

go 1.26

require countersign/sdk v0.0.0

replace countersign/sdk => ../../sdk
