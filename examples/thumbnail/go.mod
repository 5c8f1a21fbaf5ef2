module countersign.example/thumbnail

go 1.26

require countersign.internal/sdk v0.0.0-20250701120000-ea4a73b8ae94
