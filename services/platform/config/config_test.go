package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/services/platform/config"
)

type settings struct {
	Listen  string          `yaml:"listen" env:"CID_LISTEN"`
	Workers int             `yaml:"workers" env:"CID_WORKERS"`
	Limit   uint16          `yaml:"limit" env:"CID_LIMIT"`
	Debug   bool            `yaml:"debug" env:"CID_DEBUG"`
	Timeout config.Duration `yaml:"timeout" env:"CID_TIMEOUT"`
	Store   store           `yaml:"store"`
	Peers   []string        `yaml:"peers"`
}

type store struct {
	Path string `yaml:"path" env:"CID_STORE_PATH"`
}

func (s *settings) Validate() error {
	if s.Workers > 100 {
		return errors.New("workers: at most 100")
	}
	return nil
}

func defaults() settings {
	return settings{Listen: "127.0.0.1:7400", Workers: 2, Timeout: config.Duration(10 * time.Second), Store: store{Path: "data"}}
}

func TestLoad(t *testing.T) {
	for _, test := range []struct {
		name    string
		text    string
		env     map[string]string
		want    func(*settings)
		wantErr string
	}{
		{name: "empty file keeps the defaults", want: func(*settings) {}},
		{name: "only comments", text: "# nothing\n", want: func(*settings) {}},
		{name: "part of the keys", text: "workers: 7\nstore:\n  path: /srv/cid\npeers: [a, b]\n", want: func(s *settings) {
			s.Workers, s.Store.Path, s.Peers = 7, "/srv/cid", []string{"a", "b"}
		}},
		{name: "duration", text: "timeout: 1m30s\n", want: func(s *settings) { s.Timeout = config.Duration(90 * time.Second) }},
		{name: "environment over file", text: "workers: 7\nlisten: x\n", want: func(s *settings) {
			s.Listen, s.Workers, s.Limit, s.Debug, s.Timeout, s.Store.Path = "y", 8, 9, true, config.Duration(time.Second), "z"
		}, env: map[string]string{"CID_LISTEN": "y", "CID_WORKERS": "8", "CID_LIMIT": "9", "CID_DEBUG": "true", "CID_TIMEOUT": "1s", "CID_STORE_PATH": "z"}},
		{name: "empty variable is not set", env: map[string]string{"CID_LISTEN": "", "CID_WORKERS": ""}, want: func(*settings) {}},

		{name: "unknown key", text: "listen: x\nworker: 7\n", wantErr: `line 2: unknown key "worker"`},
		{name: "unknown key inside", text: "store:\n  file: x\n", wantErr: `line 2: unknown key "file"`},
		{name: "every unknown key", text: "a: 1\nb: 2\n", wantErr: `line 1: unknown key "a"; line 2: unknown key "b"`},
		{name: "key given twice", text: "workers: 1\nworkers: 2\n", wantErr: `line 2: mapping key "workers" already defined at line 1`},
		{name: "wrong type", text: "\nworkers: many\n", wantErr: "line 2: cannot unmarshal"},
		{name: "not YAML", text: "listen: [\n", wantErr: "yaml: line"},
		{name: "second document", text: "workers: 1\n---\nworkers: 2\n", wantErr: "keep one document"},
		{name: "duration without a unit", text: "workers: 1\ntimeout: 10\n", wantErr: `line 2: "10" is not a duration: write a number with a unit`},
		{name: "negative duration", text: "timeout: -1s\n", wantErr: `line 1: "-1s" is not a duration`},
		{name: "duration as a list", text: "timeout: [1s]\n", wantErr: "line 1: a duration is wanted"},
		{name: "refused by Validate", text: "workers: 101\n", wantErr: "workers: at most 100"},
		{name: "variable refused by Validate", env: map[string]string{"CID_WORKERS": "101"}, wantErr: "workers: at most 100"},
		{name: "variable no number", env: map[string]string{"CID_WORKERS": "many"}, wantErr: `environment variable CID_WORKERS: "many" is not a whole number in range`},
		{name: "variable out of range", env: map[string]string{"CID_LIMIT": "65536"}, wantErr: "environment variable CID_LIMIT"},
		{name: "variable no boolean", env: map[string]string{"CID_DEBUG": "sì"}, wantErr: `environment variable CID_DEBUG: "sì" is neither true nor false`},
		{name: "variable no duration", env: map[string]string{"CID_TIMEOUT": "10"}, wantErr: "environment variable CID_TIMEOUT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			path := filepath.Join(t.TempDir(), "node.yaml")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := defaults()
			err := config.Load(path, &got)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("Load: %v, want an error with %q", err, test.wantErr)
				}
				if len(test.env) == 0 && !strings.Contains(err.Error(), path) {
					t.Errorf("Load: %v, want the file's name in it", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			want := defaults()
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Load (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	t.Setenv("CID_LISTEN", "y")
	got := defaults()
	if err := config.Load("", &got); err != nil {
		t.Fatal(err)
	}
	if got.Listen != "y" || got.Workers != 2 {
		t.Errorf("Load = %+v, want the defaults with the environment over them", got)
	}
	if err := config.Load(filepath.Join(t.TempDir(), "missing.yaml"), &got); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of a missing file: %v", err)
	}
}

func TestPrintIsReadBack(t *testing.T) {
	want := defaults()
	want.Peers = []string{"a", "b"}
	var text bytes.Buffer
	if err := config.Print(&text, want); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "timeout: 10s\n") {
		t.Errorf("Print wrote\n%s", text.String())
	}
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var got settings
	if err := config.Load(path, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestDurationIsShort(t *testing.T) {
	for text, want := range map[string]string{"0": "0s", "500ms": "500ms", "10s": "10s", "60s": "1m", "90m": "1h30m", "24h": "24h", "1h0m5s": "1h0m5s"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if got := d.String(); got != want {
			t.Errorf("%q prints as %q, want %q", text, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"10s", "1h30m", "-1s", "10", "1.5h", "9223372036854775807ns"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again config.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d || d < 0 {
			t.Errorf("%q is read as %v, printed as %q, read back as %v, %v", text, time.Duration(d), d, time.Duration(again), err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("workers: 7\nstore: {path: x}\ntimeout: 10s\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("timeout: {x: 1}\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got := defaults()
		if err := config.Load(path, &got); err == nil && got.Workers > 100 {
			t.Errorf("settings that Validate refuses were accepted: %+v", got)
		}
	})
}
