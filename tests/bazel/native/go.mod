module countersign.example/native

go 1.26

require countersign/sdk v0.0.0

replace countersign/sdk => ../../../sdk
