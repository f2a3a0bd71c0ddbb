package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// readers is how many clients read at the same time.
	readers = 16
	// named is how many records are read by name, at random.
	named = 2048
)

// Names of targets that others are held against.
const (
	viaGRPC  = "gRPC, ufficio comune"
	bareGRPC = "bare grpc-go"
	bareHTTP = "bare net/http"
)

// get asks for a record by name.
func get(name string) (question, error) {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return question{}, err
	}
	method, ok := parsed.Kind.Method(catalog.Get)
	if !ok {
		return question{}, fmt.Errorf("the contract has no Get for %s", parsed.Kind.Collection)
	}
	request := method.NewRequest()
	set(request, "name", name)
	body, err := proto.Marshal(request)
	// The name is the first field of the record, as of the request.
	return question{method: method.Full, request: body, begins: protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)}, err
}

// reads measures reading by name.
func (b *bench) reads(ctx context.Context, f *federation) (err error) {
	random := rand.New(rand.NewPCG(Seed, 2))
	one := comuni()[0]
	var ofOne, ofAll []question
	var paths []string
	bare := Bare{Records: map[string][]byte{}, Bodies: map[string][]byte{}}
	var recordBytes, bodyBytes int
	for i := range named {
		mine, err := get(f.records[one].Pick(random))
		if err != nil {
			return err
		}
		comune := comuni()[i%len(demo.Comuni)]
		name := f.records[comune].Pick(random)
		question, err := get(name)
		if err != nil {
			return err
		}
		path := "/v1/" + name
		if bare.Records[name], err = fetch(ctx, f.conns[demo.Office], question); err != nil {
			return fmt.Errorf("get %s from the ufficio comune: %w", name, err)
		}
		if bare.Bodies[path], err = fetchHTTP(ctx, f.HTTP(), path); err != nil {
			return err
		}
		recordBytes, bodyBytes = recordBytes+len(bare.Records[name]), bodyBytes+len(bare.Bodies[path])
		ofOne, ofAll, paths = append(ofOne, mine), append(ofAll, question), append(paths, path)
	}
	process, err := startBare(ctx, filepath.Join(b.Bin, "cid-bench"), f.dir, bare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.stop()) }()
	targets, err := f.targets(inTurn(ofOne), inTurn(ofAll), inTurn(paths))
	if err != nil {
		return err
	}
	targets[0].against, targets[1].against, targets[2].against = []string{bareGRPC}, []string{bareGRPC}, []string{bareHTTP, viaGRPC}
	targets = append(targets,
		target{name: bareGRPC, processes: []int{process.pid}, client: askGRPC(process.conn, inTurn(ofAll))},
		target{name: bareHTTP, processes: []int{process.pid}, client: askHTTP(process.http, inTurn(paths))},
	)
	return b.compare(ctx, fmt.Sprintf("Reads by name (%s bytes as a message, %s as JSON, on average)",
		whole(float64(recordBytes)/named), whole(float64(bodyBytes)/named)), readers, targets)
}

// targets are the ways to ask: a node, the ufficio comune, REST.
func (f *federation) targets(node, office func(int) question, paths func(int) string) ([]target, error) {
	one := comuni()[0]
	ofNode, err := f.pids(one)
	if err != nil {
		return nil, err
	}
	ofOffice, err := f.pids(demo.Office)
	if err != nil {
		return nil, err
	}
	ofREST, err := f.pids("gateway", demo.Office)
	if err != nil {
		return nil, err
	}
	return []target{
		{name: "gRPC, node", processes: ofNode, client: askGRPC(f.conns[one], node)},
		{name: viaGRPC, processes: ofOffice, client: askGRPC(f.conns[demo.Office], office)},
		{name: "REST, gateway and ufficio comune", processes: ofREST, client: askHTTP(f.HTTP(), paths)},
	}, nil
}

// lists measures pages of 50 services over all comuni, spread over the whole
// list.
func (b *bench) lists(ctx context.Context, f *federation) error {
	const size, pages = 50, 20
	client := registryv1.NewServiceServiceClient(f.conns[demo.Office])
	tokens, err := pageTokens(ctx, client)
	if err != nil {
		return err
	}
	var questions []question
	var paths []string
	bytes := 0
	for i := range min(pages, len(tokens)) {
		request := &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: size, PageToken: tokens[i*len(tokens)/min(pages, len(tokens))]}
		body, err := proto.Marshal(request)
		if err != nil {
			return err
		}
		page, err := client.ListServices(ctx, request)
		if err != nil {
			return err
		}
		bytes += proto.Size(page)
		questions = append(questions, question{method: registryv1.ServiceService_ListServices_FullMethodName, request: body})
		paths = append(paths, "/v1/comuni/-/services?"+url.Values{"pageSize": {strconv.Itoa(size)}, "pageToken": {request.GetPageToken()}}.Encode())
	}
	targets, err := f.targets(nil, inTurn(questions), inTurn(paths))
	if err != nil {
		return err
	}
	return b.compare(ctx, fmt.Sprintf("Lists of %d services over comuni/- (%s bytes as a message, on average)", size, whole(float64(bytes)/float64(len(questions)))),
		readers, targets[1:])
}

// pageTokens walks the list of all services in large steps and returns where the
// pages begin; the last page, which may be short, is left out.
func pageTokens(ctx context.Context, client registryv1.ServiceServiceClient) ([]string, error) {
	request := &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: 200}
	tokens := []string{""}
	for {
		page, err := client.ListServices(ctx, request)
		if err != nil {
			return nil, err
		}
		if len(page.GetUnreachable()) > 0 {
			return nil, fmt.Errorf("a list lacks %s", strings.Join(page.GetUnreachable(), ", "))
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return tokens[:max(1, len(tokens)-1)], nil
		}
		tokens = append(tokens, request.GetPageToken())
	}
}
