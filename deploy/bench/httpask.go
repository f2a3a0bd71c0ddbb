package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// askHTTP makes clients with a connection each, kept open, that get what paths
// returns for each number. A client writes the few bytes of a request and reads
// the answer without decoding it: net/http's own client would take more of the
// processor than the server that it asks.
func askHTTP(address string, paths func(number int) string) func(context.Context) (func(int) error, func(), error) {
	return func(ctx context.Context) (func(int) error, func(), error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, nil, err
		}
		if deadline, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(deadline); err != nil {
				return nil, nil, err
			}
		}
		unblock := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		reader, request := bufio.NewReaderSize(conn, 64<<10), make([]byte, 0, 512)
		ask := func(number int) error {
			path := paths(number)
			request = append(append(append(request[:0], "GET "...), path...), " HTTP/1.1\r\nHost: cid\r\nAccept: application/json\r\n\r\n"...)
			if _, err := conn.Write(request); err != nil {
				return err
			}
			size, err := readAnswer(reader, io.Discard)
			if err != nil {
				return fmt.Errorf("GET %s: %w", path, err)
			}
			if size == 0 {
				return fmt.Errorf("GET %s: an empty answer", path)
			}
			return nil
		}
		return ask, func() { unblock(); _ = conn.Close() }, nil
	}
}

// readAnswer reads one answer to its end.
func readAnswer(from *bufio.Reader, into io.Writer) (size int64, err error) {
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return 0, fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(text))
	}
	return io.Copy(into, response.Body)
}

// fetchHTTP gets one path and returns the whole body.
func fetchHTTP(ctx context.Context, address, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.500s", path, response.Status, body)
	}
	return body, err
}
