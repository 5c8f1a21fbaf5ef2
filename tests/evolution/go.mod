module countersign/tests/evolution

go 1.26.8

require (
	countersign v0.0.0
	countersign/sdk v0.0.0
)

replace (
	countersign => ../..
	countersign/sdk => ../../sdk
)
