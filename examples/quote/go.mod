module countersign.example/quote

go 1.26

require (
	countersign.example/fx v0.0.0-20250701120000-07d5c6d8f87e
	countersign.example/tax v0.0.0-20250701120000-057723a75a27
	countersign.internal/sdk v0.0.0-20250701120000-a1af5624f7be
)
