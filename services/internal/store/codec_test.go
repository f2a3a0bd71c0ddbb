package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/feedv1"
)

var anyName = rapid.Custom(func(t *rapid.T) catalog.Name {
	kind := rapid.SampledFrom(catalog.Kinds()).Draw(t, "kind")
	id := rapid.StringMatching(`[a-z][a-z0-9-]{1,8}`)
	return catalog.Name{Kind: kind, IDs: rapid.SliceOfN(id, kind.Depth(), kind.Depth()).Draw(t, "ids")}
})

func TestKeysSortAsTheirValues(t *testing.T) {
	t.Run("records", rapid.MakeCheck(func(t *rapid.T) {
		a, b := anyName.Draw(t, "a"), anyName.Draw(t, "b")
		want := cmp.Or(cmp.Compare(a.Kind.Collection, b.Kind.Collection), slices.Compare(a.IDs, b.IDs))
		if got := bytes.Compare(recordKey(a), recordKey(b)); got != want {
			t.Fatalf("%s and %s: %d, their keys %d", a, b, want, got)
		}
		back, err := decodeRecordKey(recordKey(a))
		if err != nil || back.String() != a.String() {
			t.Fatalf("%s comes back as %s, %v", a, back, err)
		}
		// A prefix is that of all records inside, and of no other.
		ids := b.IDs[:rapid.IntRange(1, len(b.IDs)).Draw(t, "ids of the prefix")]
		inside := a.Kind == b.Kind && slices.Equal(a.IDs[:min(len(ids), len(a.IDs))], ids)
		if len(ids) < b.Kind.Depth() && bytes.HasPrefix(recordKey(a), recordPrefix(b.Kind, ids)) != inside {
			t.Fatalf("%s is inside %s %v: %t", a, b.Kind.Collection, ids, inside)
		}
	}))
	t.Run("times", rapid.MakeCheck(func(t *rapid.T) {
		seconds := rapid.Int64Range(0, 1<<60)
		a, b := seconds.Draw(t, "a"), seconds.Draw(t, "b")
		x, y := rapid.String().Draw(t, "x"), rapid.String().Draw(t, "y")
		want := cmp.Or(cmp.Compare(a, b), cmp.Compare(x, y))
		if got := bytes.Compare(timeKey(time.Unix(a, 0), x), timeKey(time.Unix(b, 999), y)); got != want {
			t.Fatalf("%d %q and %d %q: %d, their keys %d", a, x, b, y, want, got)
		}
		if x == "" {
			return
		}
		back, rest, err := decodeTimeKey(timeKey(time.Unix(a, 5), x))
		if err != nil || back.Unix() != a || rest != x {
			t.Fatalf("comes back as %s %q, %v", back, rest, err)
		}
	}))
	t.Run("numbers", rapid.MakeCheck(func(t *rapid.T) {
		n := rapid.Int64Min(0)
		a, b := n.Draw(t, "a"), n.Draw(t, "b")
		if bytes.Compare(encodeNumber(a), encodeNumber(b)) != cmp.Compare(a, b) {
			t.Fatalf("%d and %d", a, b)
		}
		back, err := decodeNumber(encodeNumber(a))
		if err != nil || back != a {
			t.Fatalf("%d comes back as %d, %v", a, back, err)
		}
	}))
	t.Run("pairs", rapid.MakeCheck(func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z/-]{1,6}`)
		a, b, c, d := text.Draw(t, "a"), text.Draw(t, "b"), text.Draw(t, "c"), text.Draw(t, "d")
		if bytes.Compare(pairKey(a, b), pairKey(c, d)) != cmp.Or(cmp.Compare(a, c), cmp.Compare(b, d)) {
			t.Fatalf("%q %q and %q %q", a, b, c, d)
		}
	}))
}

func FuzzRecordKey(f *testing.F) {
	f.Add([]byte("services\x00marsala\x00trasporto"))
	f.Add([]byte("actions\x00marsala\x00pz\x00a1"))
	f.Add([]byte("comuni\x00marsala"))
	f.Add([]byte("comuni\x00marsala\x00"))
	f.Fuzz(func(t *testing.T, key []byte) {
		name, err := decodeRecordKey(key)
		if err == nil && !bytes.Equal(recordKey(name), key) {
			t.Errorf("%q is read as %s", key, name)
		}
	})
}

func FuzzStoredRecord(f *testing.F) {
	f.Add(encodeStored(storedRecord{body: []byte("body")}))
	f.Add(encodeStored(storedRecord{hops: []string{"cid-trapani", "regione"}, body: []byte("body")}))
	f.Add([]byte{1, 3, 2, 'a'})
	f.Add(append([]byte{1, 1, 255}, make([]byte, 300)...))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decodeStored(value)
		if err == nil && !bytes.Equal(encodeStored(r), value) {
			t.Errorf("%x is read as %+v", value, r)
		}
	})
}

func FuzzPairKey(f *testing.F) {
	f.Add([]byte("comuni/marsala/organizations/aias\x00comuni/marsala/services/trasporto"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, key []byte) {
		a, b, err := decodePairKey(key)
		if err == nil && !bytes.Equal(pairKey(a, b), key) {
			t.Errorf("%q is read as %q, %q", key, a, b)
		}
	})
}

func FuzzTimeKey(f *testing.F) {
	f.Add(timeKey(time.Unix(1_700_000_000, 0), "comuni/marsala/services/trasporto"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xffx"))
	f.Fuzz(func(t *testing.T, key []byte) {
		when, rest, err := decodeTimeKey(key)
		if err == nil && !bytes.Equal(timeKey(when, rest), key) {
			t.Errorf("%x is read as %s, %q", key, when, rest)
		}
	})
}

func FuzzPlace(f *testing.F) {
	f.Add(encodePlace(Position{}))
	f.Add(encodePlace(Position{Revision: 7, Digest: make([]byte, sha256.Size)}))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := decodePlace(value, []byte("epoch"))
		if err == nil && !bytes.Equal(encodePlace(p), value) {
			t.Errorf("%x is read as %s", value, p)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(encodeAnswer(sha256.Sum256(nil), []byte("body")))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, value []byte) {
		digest, body, err := decodeAnswer(value)
		if err == nil && !bytes.Equal(encodeAnswer(digest, body), value) {
			t.Errorf("%x is read as %x, %x", value, digest, body)
		}
	})
}

func FuzzRevision(f *testing.F) {
	f.Add(encodeNumber(7), append(make([]byte, sha256.Size), "body"...))
	f.Add([]byte{0}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := decodeRevision([]byte("epoch"), key, value)
		if err != nil {
			return
		}
		p := PositionFrom(r.GetPosition())
		if !bytes.Equal(encodeNumber(p.Revision), key) || !bytes.Equal(append(p.Digest, r.GetBody()...), value) {
			t.Errorf("%x %x is read as %v", key, value, r)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), int64(7), make([]byte, sha256.Size), []byte("body"))
	f.Add([]byte{}, int64(-1), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, epoch []byte, revision int64, digest, body []byte) {
		p := PositionFrom(&feedv1.FeedPosition{Epoch: epoch, Revision: revision, Digest: digest})
		if !PositionFrom(p.Message()).Equal(p) {
			t.Errorf("%s does not come back", p)
		}
		next := p.Next(body)
		if next.Equal(p) || next.Equal(p.Next(slices.Concat(body, []byte{0}))) || !next.Equal(p.Next(body)) || len(next.Digest) != sha256.Size {
			t.Errorf("%s follows %s", next, p)
		}
	})
}
