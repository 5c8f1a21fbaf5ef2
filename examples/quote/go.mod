module countersign.example/quote

go 1.26

require (
	countersign.example/fx v0.0.0
	countersign.example/tax v0.0.0
	countersign/sdk v0.0.0
)

replace (
	countersign.example/fx => ../fx
	countersign.example/tax => ../tax
	countersign/sdk => ../../sdk
)
