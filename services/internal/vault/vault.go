// Package vault encrypts the local data of a server: accounts, sessions and
// requests of the public. Values are sealed with a data key, which is kept in
// the data file, itself sealed with a master key, which is kept in a file of its
// own. A copy of the data file alone, and so every backup, opens nothing.
package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"cidsistem.example/services/internal/store"
)

// keys is the local entry that holds the data keys, sealed with the master key.
var keys = store.LocalKey{Area: "vault", ID: "keys"}

// ErrWrongKey says that the master key does not open the data file.
var ErrWrongKey = errors.New("the master key does not open the local data")

// A Vault seals and opens local entries. It is safe for concurrent use.
type Vault struct {
	store    *store.Store
	path     string
	data     atomic.Pointer[keyring]
	rotating sync.Mutex // two rotations at once would forget each other's keys
}

// A keyring is a set of data keys: the first seals, all of them open.
type keyring struct {
	handle *keyset.Handle
	aead   tink.AEAD
}

func newKeyring(handle *keyset.Handle) (*keyring, error) {
	primitive, err := aead.New(handle)
	return &keyring{handle: handle, aead: primitive}, err
}

// Open opens the vault of a store with the master key in a file, and makes both
// keys when there are no data keys yet. A master key that is missing or wrong is
// an error: nothing is ever made anew over data that only the right one opens.
func Open(ctx context.Context, s *store.Store, path string) (*Vault, error) {
	v := &Vault{store: s, path: path}
	var sealed []byte
	if err := s.View(func(r store.Reader) error { sealed = r.Local(keys); return nil }); err != nil {
		return nil, err
	}
	master, err := readMaster(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && sealed == nil:
		if master, err = keyset.NewHandle(aead.AES256GCMKeyTemplate()); err == nil {
			err = writeMaster(path, master)
		}
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %s is not there; put it back from where it is kept", ErrWrongKey, path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if sealed == nil {
		fresh, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		if err != nil {
			return nil, fmt.Errorf("make a data key: %w", err)
		}
		return v, v.install(ctx, master, fresh)
	}
	opened, err := unwrap(sealed, master)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrWrongKey, path, err)
	}
	ring, err := newKeyring(opened)
	v.data.Store(ring)
	return v, err
}

// Seal encrypts a value for an entry; it opens for no other.
func (v *Vault) Seal(key store.LocalKey, value []byte) ([]byte, error) {
	return v.data.Load().aead.Encrypt(value, bound(key))
}

// Open decrypts the value of an entry.
func (v *Vault) Open(key store.LocalKey, sealed []byte) ([]byte, error) {
	value, err := v.data.Load().aead.Decrypt(sealed, bound(key))
	if err != nil {
		return nil, fmt.Errorf("open local entry %s of %s: %w", key.ID, key.Area, err)
	}
	return value, nil
}

// bound ties a value to its entry.
func bound(key store.LocalKey) []byte { return []byte(key.Area + "\x00" + key.ID) }

// Rotate makes a new master key and a new data key, seals every local entry
// anew, and forgets the old keys. It can be broken off at any point and begun
// again. It returns how many entries it sealed.
func (v *Vault) Rotate(ctx context.Context) (int, error) {
	v.rotating.Lock()
	defer v.rotating.Unlock()
	old, err := readMaster(v.path)
	if err != nil {
		return 0, fmt.Errorf("master key: %w", err)
	}
	// Both master keys stand in the file until the data keys are sealed with the
	// new one.
	master, err := withNewPrimary(old)
	if err != nil {
		return 0, err
	}
	if err := writeMaster(v.path, master); err != nil {
		return 0, err
	}
	data, err := withNewPrimary(v.data.Load().handle)
	if err != nil {
		return 0, err
	}
	if err := v.install(ctx, master, data); err != nil {
		return 0, err
	}
	sealed, err := v.sealAnew(ctx)
	if err != nil {
		return sealed, fmt.Errorf("seal local entries with the new key: %w", err)
	}
	if data, err = onlyPrimary(data); err != nil {
		return sealed, err
	}
	if master, err = onlyPrimary(master); err != nil {
		return sealed, err
	}
	if err := v.install(ctx, master, data); err != nil {
		return sealed, err
	}
	return sealed, writeMaster(v.path, master)
}

// install stores data keys and uses them from now on.
func (v *Vault) install(ctx context.Context, master, data *keyset.Handle) error {
	ring, err := newKeyring(data)
	if err != nil {
		return err
	}
	wrapped, err := wrap(data, master)
	if err != nil {
		return fmt.Errorf("seal the data keys: %w", err)
	}
	_, err = v.store.Commit(ctx, store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Local: []store.LocalPut{{Key: keys, Value: wrapped}}}, nil
	})
	if err != nil {
		return fmt.Errorf("store the data keys: %w", err)
	}
	v.data.Store(ring)
	return nil
}

// One transaction seals so many entries anew, or as many as have so many bytes.
const (
	batch      = 200
	batchBytes = 8 << 20
)

func (v *Vault) sealAnew(ctx context.Context) (total int, err error) {
	after := store.LocalKey{}
	for {
		var puts []store.LocalPut
		var more bool
		_, err := v.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
			puts, more = nil, false
			size := 0
			for key, sealed := range r.AllLocalEntries(after) {
				if key == keys {
					continue
				}
				value, err := v.Open(key, sealed)
				if err != nil {
					return store.Outcome{}, err
				}
				anew, err := v.Seal(key, value)
				if err != nil {
					return store.Outcome{}, err
				}
				puts = append(puts, store.LocalPut{Key: key, Value: anew})
				if size += len(anew); len(puts) == batch || size >= batchBytes {
					more = true
					break
				}
			}
			return store.Outcome{Local: puts}, nil
		})
		if err != nil {
			return total, err // the writer may be at puts still
		}
		if total += len(puts); !more {
			return total, nil
		}
		after = puts[len(puts)-1].Key
	}
}

func withNewPrimary(handle *keyset.Handle) (*keyset.Handle, error) {
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return nil, fmt.Errorf("make a new key: %w", err)
	}
	return manager.Handle()
}

func onlyPrimary(handle *keyset.Handle) (*keyset.Handle, error) {
	manager := keyset.NewManagerFromHandle(handle)
	primary, err := handle.Primary()
	if err != nil {
		return nil, err
	}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		if entry.KeyID() == primary.KeyID() {
			continue
		}
		if err := manager.Delete(entry.KeyID()); err != nil {
			return nil, fmt.Errorf("forget an old key: %w", err)
		}
	}
	return manager.Handle()
}

func wrap(data, master *keyset.Handle) ([]byte, error) {
	primitive, err := aead.New(master)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = data.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), primitive, bound(keys))
	return out.Bytes(), err
}

func unwrap(sealed []byte, master *keyset.Handle) (*keyset.Handle, error) {
	primitive, err := aead.New(master)
	if err != nil {
		return nil, err
	}
	return keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(sealed)), primitive, bound(keys))
}

func readMaster(path string) (*keyset.Handle, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others than its owner (mode %o); make it 0600", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		return nil, fmt.Errorf("%s is not a key file: %w", path, err)
	}
	return handle, nil
}

// writeMaster puts the whole file in place at once, durably.
func writeMaster(path string, handle *keyset.Handle) error {
	var out bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(out.Bytes())
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
