package edge

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

const (
	// compressFrom is the size in bytes from which an answer is worth compressing.
	compressFrom = 1 << 10
	// encodedTagMark stands in an ETag before the encoding's name; etags of records never contain it.
	encodedTagMark = "."
)

var compress = newCompressor()

func newCompressor() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(compressFrom),
		gzhttp.EnableZstd(true),
		gzhttp.SuffixETag(encodedTagMark+"gzip"), // the encoding is part of a representation (RFC 9110, 8.8.3.3); zstd gets its own
	)
	if err != nil {
		panic(err) // constant options
	}
	return wrap
}

// Compress compresses what a handler answers, with zstd or gzip, as the client likes. It is not for streams.
func Compress(next http.Handler) http.Handler { return compress(next) }
