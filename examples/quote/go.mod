module countersign.example/quote

go 1.26

require (
	countersign.example/fx v0.0.0-20250701120000-5aeaa8185af0
	countersign.example/tax v0.0.0-20250701120000-6ccb3e949378
	countersign.internal/sdk v0.0.0-20250701120000-da0d5fe767c7
)
