package guide

import (
	"fmt"
	"html/template"
	"strings"

	"rsc.io/qr"
)

// qr draws an address as a code for telephones; empty when it is too long for one.
func qrCode(address string) template.HTML {
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		return ""
	}
	var dots strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&dots, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	const quiet = 4 // modules around the code, ISO/IEC 18004
	//nolint:gosec // numbers only
	return template.HTML(fmt.Sprintf(`<svg class="qr" viewBox="%d %d %d %d" width="160" height="160" aria-hidden="true" focusable="false"><path fill="#fff" d="M-4-4h%dv%dh-%dz"/><path d="%s"/></svg>`,
		-quiet, -quiet, code.Size+2*quiet, code.Size+2*quiet, code.Size+2*quiet, code.Size+2*quiet, code.Size+2*quiet, dots.String()))
}
