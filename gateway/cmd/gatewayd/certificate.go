package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files of a certificate are looked at, at most.
const lookEvery = 5 * time.Second

// A certificate of an HTTPS server, read again when its files change. While new files are broken or half written, the last good
// one stays in use.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu       sync.Mutex
	current  *tls.Certificate
	changed  [2]time.Time // of the files as last tried
	lookedAt time.Time
}

// loadCertificate reads both files.
func loadCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// serverTLS is the configuration of a server that shows the certificate to browsers.
func (c *certificate) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.newest(time.Now()), nil
		},
	}
}

func (c *certificate) newest(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.lookedAt) >= lookEvery {
		c.lookedAt = now
		if err := c.read(); err != nil {
			c.logger.Error("new HTTPS certificate refused, the previous one stays in use", "error", err)
		}
	}
	return c.current
}

// read takes the files if they changed since the last attempt.
func (c *certificate) read() error {
	var changed [2]time.Time
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("find the HTTPS certificate: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if changed == c.changed {
		return nil
	}
	c.changed = changed
	read, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the HTTPS certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current = &read
	return nil
}
