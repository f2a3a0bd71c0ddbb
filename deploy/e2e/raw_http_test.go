package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A restRow is an HTTP request, written to the connection as it stands here: an
// HTTP client would mend much of what is wrong with it.
type restRow struct {
	Method string `yaml:"method"`
	Path   string `yaml:"path"`
	// Header are lines "Name: value". Host is always sent, Content-Length and
	// Content-Type where there is a body and no other is given.
	Header []string `yaml:"header"`

	// One of these is the body.
	JSON any    `yaml:"json"`
	Body string `yaml:"body"`
	Hex  string `yaml:"hex"`
	// Zeros is the length of a body of zeros, sent in chunks.
	Zeros int64 `yaml:"zeros"`
}

func (row *restRow) body(vars variables) ([]byte, error) {
	switch {
	case row.JSON != nil:
		document, err := vars.expand(row.JSON)
		if err != nil {
			return nil, err
		}
		return json.Marshal(document)
	case row.Hex != "":
		return hex.DecodeString(strings.ReplaceAll(row.Hex, " ", ""))
	}
	text, err := vars.expandText(row.Body)
	return []byte(text), err
}

// send makes the request on a connection of its own.
func (row *restRow) send(ctx context.Context, address string, vars variables) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	head, body, err := row.write(vars)
	if err != nil {
		return answer{}, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return answer{}, err
		}
	}
	// The server may answer before it has read everything, and close: only its
	// answer counts.
	go func() {
		_, _ = io.WriteString(conn, head)
		_, _ = io.Copy(conn, body)
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: row.Method})
	if err != nil {
		return answer{}, fmt.Errorf("%s %.200s: no answer: %w", row.Method, row.Path, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return answer{body: string(text)}, nil
	}
	return problemAnswer(response, text)
}

// write makes the head and the body of the request.
func (row *restRow) write(vars variables) (string, io.Reader, error) {
	path, err := vars.expandText(row.Path)
	if err != nil {
		return "", nil, err
	}
	content, err := row.body(vars)
	if err != nil {
		return "", nil, err
	}
	lines := []string{row.Method + " " + path + " HTTP/1.1", "Host: localhost"}
	given := strings.ToLower(strings.Join(row.Header, "\n"))
	for _, line := range row.Header {
		expanded, err := vars.expandText(line)
		if err != nil {
			return "", nil, err
		}
		lines = append(lines, expanded)
	}
	if token, signedIn := vars["token"].(string); signedIn && !strings.Contains(given, "authorization:") {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	if row.Zeros > 0 {
		lines = append(lines, "Transfer-Encoding: chunked", "Content-Type: application/octet-stream")
		return strings.Join(lines, "\r\n") + "\r\n\r\n", chunked(row.Zeros), nil
	}
	if len(content) > 0 && !strings.Contains(given, "content-type:") {
		lines = append(lines, "Content-Type: application/json")
	}
	if row.Method != http.MethodGet && !strings.Contains(given, "content-length:") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(content)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n", bytes.NewReader(content), nil
}

// chunked is a body of zeros in the chunks of HTTP.
func chunked(length int64) io.Reader {
	var parts []io.Reader
	const size = 1 << 20
	for length > 0 {
		n := min(length, size)
		length -= n
		parts = append(parts, strings.NewReader(fmt.Sprintf("%x\r\n", n)), io.LimitReader(zeros{}, n), strings.NewReader("\r\n"))
	}
	return io.MultiReader(append(parts, strings.NewReader("0\r\n\r\n"))...)
}

// zeros reads as zeros without an end.
type zeros struct{}

func (zeros) Read(into []byte) (int, error) {
	clear(into)
	return len(into), nil
}
