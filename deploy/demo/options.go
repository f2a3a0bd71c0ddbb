// Package demo runs a whole federation on one machine, as separate processes on
// loopback with mutual TLS: three registries, their ufficio comune and the
// gateway. The demo command and the end-to-end tests use it.
package demo

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// A Comune of the demo.
type Comune struct {
	ID, Title, IstatCode string
	// Patron is the day of the patron saint, "MM-DD".
	Patron string
	// Association is the id of an organization of the sample data whose delegate
	// keeps its own cards; empty: none does.
	Association string
}

// Comuni of the federation, by id. Codes: ISTAT, list of comuni. The days are
// those on which the comuni close: of the Madonna della Cava, San Vito, San
// Fortunato.
var Comuni = []Comune{
	{"marsala", "Marsala", "081011", "01-19", "anffas-marsala"},
	{"mazara-del-vallo", "Mazara del Vallo", "081012", "06-15", ""},
	{"pantelleria", "Pantelleria", "081014", "10-16", ""},
}

// Office is the id of the ufficio comune.
const Office = "cid-trapani"

// TrustDomain of the demo's certificates.
const TrustDomain = "cidsistem.example"

// Options of Start.
type Options struct {
	// Dir keeps data, certificates, settings and logs.
	Dir string
	// HTTP is the address of the gateway, HOST:PORT; port 0 means any free one.
	HTTP string
	// BasePort is the first of the ports of the gRPC servers; 0 means any free
	// ones.
	BasePort int
	// Bin is the folder of the programs.
	Bin string
	// Empty leaves the registries without the sample data.
	Empty bool
	// Rate is how many requests per second the gateway takes from one client;
	// 0 means no limit.
	Rate int
	// PurgeAfter is for how long a deleted record can be undeleted; 0 means the
	// default of the registry.
	PurgeAfter time.Duration
	// Above is the id of a second ufficio comune, which federates the first;
	// empty: there is none.
	Above string
	// Workbench gives every comune the portal of its own node, and people with one
	// role each beside the one that has all.
	Workbench bool
	// Mail is the address of an SMTP server on this machine, HOST:PORT, that takes
	// what the nodes send; empty: messages wait.
	Mail string
	// Out gets the progress, a line a step.
	Out io.Writer
}

// FromEnvironment fills what is not set from CID_DATA_DIR, CID_HTTP_ADDR and
// CID_BASE_PORT, else with the defaults of the demo.
func (o Options) FromEnvironment() (Options, error) {
	o.Dir = cmp.Or(o.Dir, os.Getenv("CID_DATA_DIR"), ".demo")
	o.HTTP = cmp.Or(o.HTTP, os.Getenv("CID_HTTP_ADDR"), "127.0.0.1:8080")
	if o.BasePort == 0 {
		port, err := strconv.Atoi(cmp.Or(os.Getenv("CID_BASE_PORT"), "7100"))
		if err != nil || port < 0 || port > 65000 {
			return o, fmt.Errorf("CID_BASE_PORT: %q is not a port", os.Getenv("CID_BASE_PORT"))
		}
		o.BasePort = port
	}
	dir, err := filepath.Abs(o.Dir)
	o.Dir = dir
	return o, err
}
