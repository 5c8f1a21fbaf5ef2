module countersign.example/quote

go 1.26

require (
	countersign.example/fx v0.0.0-20250701120000-f0d44345e892
	countersign.example/tax v0.0.0-20250701120000-3d2cfa243a81
	countersign.internal/sdk v0.0.0-20250701120000-787af93d8ac6
)
