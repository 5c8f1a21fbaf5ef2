module countersign/tests/evolution

go 1.26.8

require (
	countersign v0.0.0
	countersign.internal/sdk v0.0.0
)

replace (
	countersign => ../..
	countersign.internal/sdk => ../../sdk
)
