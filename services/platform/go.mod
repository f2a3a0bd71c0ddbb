module cidsistem.example/services/platform

go 1.26.0
