module countersign.example/quote

go 1.26

require (
	countersign.example/fx v0.0.0-20250701120000-3e76431cdb85
	countersign.example/tax v0.0.0-20250701120000-e960b9771029
	countersign.internal/sdk v0.0.0-20250701120000-ea4a73b8ae94
)
