package editorial

// SetPath and TextAt are what corrections are written with.
var (
	SetPath = setPath
	TextAt  = textAt
)
