module guest

go 1.24

require countersign/sdk v0.0.0

replace countersign/sdk => ../../../../../sdk
