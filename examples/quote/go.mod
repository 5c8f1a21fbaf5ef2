module countersign.example/quote

go 1.26

require (
	countersign.example/fx v0.0.0-20250701120000-dcb2b8a8fc82
	countersign.example/tax v0.0.0-20250701120000-c05e7bf0be8f
	countersign.internal/sdk v0.0.0-20250701120000-376ffb862fcb
)
