package opendata_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An exporter stands for the server's: its files say what was asked for.
type exporter struct {
	exchangev1.UnimplementedExportServiceServer

	mu       sync.Mutex
	asked    []*exchangev1.ExportRecordsRequest
	metadata metadata.MD
	fails    error
}

func (e *exporter) ExportRecords(request *exchangev1.ExportRecordsRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	e.mu.Lock()
	e.asked = append(e.asked, request)
	e.metadata, _ = metadata.FromIncomingContext(stream.Context())
	fails := e.fails
	e.mu.Unlock()
	for _, piece := range []string{content(request)[:5], content(request)[5:]} {
		if err := stream.Send(&httpbody.HttpBody{ContentType: "text/plain", Data: []byte(piece)}); err != nil {
			return err
		}
	}
	return fails
}

// fail lets what is asked for from now on break off, or not.
func (e *exporter) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails = err
}

func content(request *exchangev1.ExportRecordsRequest) string {
	return strings.Repeat(request.GetParent()+" "+request.GetFormat().String()+" "+strings.Join(request.GetCollections(), ",")+"\r\n", 200)
}

func start(t *testing.T) (*portaltest.Portal, *exporter) {
	t.Helper()
	e := &exporter{}
	return portaltest.Start(t, []proto.Message{
		portaltest.Marsala(),
		&registryv1.Comune{Name: "comuni/pantelleria", Title: portaltest.Text("Pantelleria " + portaltest.Injection), IstatCode: "081014", UpdateTime: portaltest.Changed},
	}, func(server *grpc.Server) { exchangev1.RegisterExportServiceServer(server, e) }), e
}

// ask makes a request as a program does.
func ask(t *testing.T, p *portaltest.Portal, method, path string, header map[string]string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.Base()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer, string(body)
}

func TestPageOffersEachFileOfEachComune(t *testing.T) {
	p, _ := start(t)
	for _, test := range []struct{ path, says string }{
		{"/dati/", "Licenza CC BY 4.0"},
		{"/en/dati/", "Open data"},
		{"/fr/dati/", "Données ouvertes"},
		{"/ar/dati/", "البيانات المفتوحة"},
	} {
		t.Run(test.path, func(t *testing.T) {
			got := p.Get(test.path)
			if got.Status != http.StatusOK || got.Scripts() != 0 || !strings.Contains(got.Text(), test.says) {
				t.Fatalf("status %d, %d scripts:\n%s", got.Status, got.Scripts(), got.Text())
			}
			for _, want := range []string{
				`href="/dati/tutti/registro.jsonl"`, `href="/dati/marsala/servizi.csv"`, `href="/dati/pantelleria/istat.csv"`, `href="/docs/"`, `href="/dati/catalogo.jsonld"`,
			} {
				if !strings.Contains(got.Body, want) {
					t.Errorf("the page has no %s", want)
				}
			}
		})
	}
	if !strings.Contains(p.Get("/").Body, `href="/dati/"`) || !strings.Contains(p.Get("/docs/").Body, `href="/dati/"`) {
		t.Error("neither the frame nor the documentation of the API leads to the data")
	}
}

func TestFiles(t *testing.T) {
	p, e := start(t)
	tests := []struct {
		path, mediaType, name string
		want                  *exchangev1.ExportRecordsRequest
	}{
		{"/dati/marsala/servizi.csv", "text/csv; charset=utf-8; header=present", "marsala-servizi.csv", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_CSV, Collections: []string{"services"}}},
		{"/dati/tutti/enti.csv", "text/csv; charset=utf-8; header=present", "tutti-enti.csv", &exchangev1.ExportRecordsRequest{Parent: "comuni/-", Format: exchangev1.ExportFormat_CSV, Collections: []string{"organizations"}}},
		{"/dati/tutti/registro.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "tutti-registro.xlsx", &exchangev1.ExportRecordsRequest{Parent: "comuni/-", Format: exchangev1.ExportFormat_XLSX}},
		{"/dati/marsala/hsds.json", "application/json", "marsala-hsds.json", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_HSDS_JSON}},
		{"/dati/marsala/hsds.zip", "application/zip", "marsala-hsds.zip", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_HSDS_TABULAR}},
		{"/dati/marsala/registro.jsonl", "application/x-ndjson", "marsala-registro.jsonl", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_JSON_LINES}},
		{"/dati/marsala/registro.zip", "application/zip", "marsala-registro.zip", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_PACKAGE}},
		{"/ar/dati/marsala/sioss.csv", "text/csv; charset=utf-8; header=present", "marsala-sioss.csv", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_SIOSS}},
		{"/dati/marsala/istat.csv", "text/csv; charset=utf-8; header=present", "marsala-istat.csv", &exchangev1.ExportRecordsRequest{Parent: "comuni/marsala", Format: exchangev1.ExportFormat_ISTAT}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			answer, body := ask(t, p, http.MethodGet, test.path, map[string]string{"Authorization": "Bearer somebody's"})
			if answer.StatusCode != http.StatusOK || body != content(test.want) {
				t.Fatalf("status %d: %.200s", answer.StatusCode, body)
			}
			digest := sha256.Sum256([]byte(body))
			for name, want := range map[string]string{
				"Content-Type": test.mediaType, "Content-Disposition": "attachment; filename=" + test.name, "ETag": `"` + hex.EncodeToString(digest[:]) + `"`,
				"Cache-Control": "public, max-age=0, must-revalidate", "X-RateLimit-Limit": "200",
			} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if asked := e.asked[len(e.asked)-1]; !proto.Equal(asked, test.want) {
				t.Errorf("the server was asked for %v", asked)
			}
			if len(e.metadata.Get("authorization")) != 0 {
				t.Error("a file for everybody was made for somebody")
			}
		})
	}
}

func TestFileIsNotSentTwice(t *testing.T) {
	p, e := start(t)
	const path = "/dati/marsala/servizi.csv"
	first, body := ask(t, p, http.MethodGet, path, nil)
	head, nothing := ask(t, p, http.MethodHead, path, nil)
	if head.StatusCode != http.StatusOK || nothing != "" || head.ContentLength != int64(len(body)) || head.Header.Get("ETag") != first.Header.Get("ETag") {
		t.Errorf("HEAD: %d, %d bytes of %d, %s", head.StatusCode, head.ContentLength, len(body), head.Header.Get("ETag"))
	}
	same, nothing := ask(t, p, http.MethodGet, path, map[string]string{"If-None-Match": first.Header.Get("ETag")})
	if same.StatusCode != http.StatusNotModified || nothing != "" {
		t.Errorf("a client that has the file gets %d with %d bytes", same.StatusCode, len(nothing))
	}
	packed, _ := ask(t, p, http.MethodGet, path, map[string]string{"Accept-Encoding": "gzip"})
	if packed.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("a table is not compressed: %v", packed.Header)
	}
	if same, _ := ask(t, p, http.MethodGet, path, map[string]string{"Accept-Encoding": "gzip", "If-None-Match": packed.Header.Get("ETag")}); same.StatusCode != http.StatusNotModified {
		t.Errorf("a client that has the compressed file gets %d", same.StatusCode)
	}
	if len(e.asked) != 1 {
		t.Errorf("the file was made %d times for requests within a moment", len(e.asked))
	}
	if zip, _ := ask(t, p, http.MethodGet, "/dati/marsala/hsds.zip", map[string]string{"Accept-Encoding": "gzip"}); zip.Header.Get("Content-Encoding") != "" {
		t.Error("a package is compressed once more")
	}
}

func TestManyWhoAskAtOnceCostOneFile(t *testing.T) {
	p, e := start(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := p.Get("/dati/tutti/registro.zip"); got.Status != http.StatusOK {
				t.Errorf("status %d", got.Status)
			}
		})
	}
	all.Wait()
	if len(e.asked) != 1 {
		t.Errorf("the file was made %d times", len(e.asked))
	}
}

func TestNoSuchFile(t *testing.T) {
	p, e := start(t)
	for _, path := range []string{"/dati/altrove/servizi.csv", "/dati/marsala/segreti.csv", "/dati/-/servizi.csv", "/dati/marsala/", "/dati/%2e%2e/servizi.csv", "/dati/marsala/servizi.csv%00"} {
		if got := p.Get(path); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
	if len(e.asked) != 0 {
		t.Errorf("the server was asked for %v", e.asked)
	}
	if got := p.Post("/dati/marsala/servizi.csv", "a=b"); got.Status != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", got.Status)
	}
}

func TestHalfAFileIsNotGivenOut(t *testing.T) {
	p, e := start(t)
	e.fail(status.Error(codes.Unavailable, "the node is away"))
	got := p.Get("/dati/marsala/servizi.csv")
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || got.Header.Get("ETag") != "" || strings.Contains(got.Body, "comuni/marsala CSV") || got.Header.Get("Content-Disposition") != "" {
		t.Errorf("status %d, %v", got.Status, got.Header)
	}
	e.fail(nil)
	if got := p.Get("/dati/marsala/servizi.csv"); got.Status != http.StatusOK {
		t.Errorf("after the server is back: status %d", got.Status)
	}
}

func TestCatalogueDescribesTheFiles(t *testing.T) {
	p, _ := start(t)
	got := p.Get("/dati/catalogo.jsonld")
	if got.Status != http.StatusOK || got.Header.Get("Content-Type") != "application/ld+json" {
		t.Fatalf("status %d, %s", got.Status, got.Header.Get("Content-Type"))
	}
	var description struct {
		Context map[string]string `json:"@context"`
		Graph   []map[string]any  `json:"@graph"`
	}
	if err := json.Unmarshal([]byte(got.Body), &description); err != nil {
		t.Fatal(err)
	}
	if len(description.Graph) != 4 { // the catalogue, all comuni, and each of the two
		t.Fatalf("%d things are described", len(description.Graph))
	}
	for _, property := range []string{"dct:title", "dct:description", "dct:publisher", "dcat:dataset", "dct:modified"} {
		if description.Graph[0][property] == nil {
			t.Errorf("the catalogue has no %s", property)
		}
	}
	for _, set := range description.Graph[1:] {
		// Those that DCAT-AP_IT asks of each dataset.
		for _, property := range []string{"dct:identifier", "dct:title", "dct:description", "dcat:theme", "dct:rightsHolder", "dct:accrualPeriodicity"} {
			if set[property] == nil {
				t.Errorf("%v has no %s", set["@id"], property)
			}
		}
		distributions, _ := set["dcat:distribution"].([]any)
		if len(distributions) != 16 {
			t.Errorf("%v has %d files", set["@id"], len(distributions))
		}
		for _, one := range distributions {
			file := one.(map[string]any)
			for _, property := range []string{"dcat:accessURL", "dct:format", "dct:license"} {
				if file[property] == nil {
					t.Errorf("%v has no %s", file["@id"], property)
				}
			}
			address := file["dcat:downloadURL"].(map[string]any)["@id"].(string)
			if download := p.Get(strings.TrimPrefix(address, p.Base())); download.Status != http.StatusOK {
				t.Errorf("%s: status %d", address, download.Status)
			}
		}
	}
}
