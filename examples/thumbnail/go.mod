module countersign.example/thumbnail

go 1.26

require countersign.internal/sdk v0.0.0-20250701120000-a1af5624f7be
