module cidsistem.example/gateway

go 1.26.0

require (
	cidsistem.example/proto v0.0.0-00010101000000-000000000000
	cidsistem.example/services/platform v0.0.0-00010101000000-000000000000
)

replace (
	cidsistem.example/proto => ../proto
	cidsistem.example/services/platform => ../services/platform
)
