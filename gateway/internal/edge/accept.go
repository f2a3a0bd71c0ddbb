package edge

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const (
	typeJSON   = "application/json"
	typeEvents = "text/event-stream"
	typeLines  = "application/x-ndjson"
)

// chooseType returns the first of the offered media types that a request accepts best. It is an error when it accepts none.
func chooseType(r *http.Request, offered ...string) (string, error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offered[0], nil
	}
	best, quality := "", 0.0
	for _, one := range offered {
		if q := qualityOf(header, one); q > quality {
			best, quality = one, q
		}
	}
	if best == "" {
		return "", newProblem(reasonNotAcceptable, "the answer is "+strings.Join(offered, " or ")+", which the header Accept leaves out")
	}
	return best, nil
}

// qualityOf tells how much an Accept header wants a media type, from 0 to 1: the most specific range decides (RFC 9110, 12.5.1).
func qualityOf(header, mediaType string) float64 {
	group, _, _ := strings.Cut(mediaType, "/")
	quality, specific := 0.0, 0
	for element := range strings.SplitSeq(header, ",") {
		kind, parameters, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		rank := 0
		switch kind {
		case "*/*":
			rank = 1
		case group + "/*":
			rank = 2
		case mediaType:
			rank = 3
		}
		if rank <= specific {
			continue
		}
		q := 1.0
		if text, given := parameters["q"]; given {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		quality, specific = q, rank
	}
	return quality
}
