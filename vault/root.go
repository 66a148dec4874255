package vault

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// RootKeys is the source of the root keyset, a Tink keyset in JSON. Keyset takes precedence
// over File. A File that doesn't exist is created, readable by its owner only.
type RootKeys struct {
	File   string
	Keyset string

	// Master encrypts the keyset, wherever it comes from, such as a key in a KMS. It is used when the
	// keyset is read and written, and for no secret. Default: the keyset is in clear text.
	Master tink.AEAD
}

// ErrClearText is returned for a keyset in clear text where there is a Master.
var ErrClearText = errors.New("vault: the root keyset is not encrypted")

// source names the source of a keyset that is in a file, empty otherwise.
func (k RootKeys) source() string {
	if k.Keyset != "" {
		return ""
	}
	return k.File
}

// root holds the root keyset. It reads the file again when it was replaced, so that it
// notices a rotation by another process before it seals.
type root struct {
	keys   RootKeys
	mu     sync.Mutex
	read   os.FileInfo // of the file when it was read
	handle *keyset.Handle
	cipher tink.AEAD
}

// ErrRotating is returned while another process changes the root keyset file: one of two
// concurrent changes would be lost.
var ErrRotating = errors.New("vault: another process is changing the root keyset")

// lock keeps other processes from changing the file, until release is called or this
// process ends.
func (k RootKeys) lock() (release func(), err error) {
	if k.Keyset != "" {
		return func() {}, nil
	}
	f, err := durablefile.Lock(k.File + ".lock")
	if errors.Is(err, durablefile.ErrLocked) {
		return nil, ErrRotating
	}
	if err != nil {
		return nil, fmt.Errorf("lock root keyset: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

// rootAAD separates a wrapped key from anything else sealed under the root.
var rootAAD = []byte("integrations wrapped key")

func openRoot(keys RootKeys) (*root, error) {
	r := &root{keys: keys}
	return r, r.load()
}

// missing reports whether the keyset would come from a file that doesn't exist.
func (k RootKeys) missing() bool {
	if k.Keyset != "" {
		return false
	}
	_, err := os.Stat(k.File)
	return errors.Is(err, fs.ErrNotExist)
}

// makeRootFile creates the file unless it exists or isn't needed.
func makeRootFile(keys RootKeys) error {
	release, err := keys.lock()
	if err != nil {
		return err
	}
	defer release()
	if !keys.missing() {
		return nil
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	return keys.write(handle)
}

// write replaces the file atomically.
func (k RootKeys) write(handle *keyset.Handle) error {
	var text bytes.Buffer
	to := keyset.NewJSONWriter(&text)
	var err error
	if k.Master != nil {
		err = handle.Write(to, k.Master)
	} else {
		err = insecurecleartextkeyset.Write(handle, to)
	}
	if err != nil {
		return fmt.Errorf("write root keyset: %w", err)
	}
	if err := durablefile.Write(k.File, text.Bytes(), 0o400); err != nil {
		return fmt.Errorf("write root keyset: %w", err)
	}
	return nil
}

// load reads the keyset. The caller holds mu, or is the only user.
func (r *root) load() error {
	text := []byte(r.keys.Keyset)
	if len(text) == 0 {
		var err error
		if r.read, err = os.Stat(r.keys.File); err != nil {
			return fmt.Errorf("read root keyset: %w", err)
		}
		if text, err = os.ReadFile(r.keys.File); err != nil {
			return fmt.Errorf("read root keyset: %w", err)
		}
	}
	handle, err := r.keys.decode(text)
	if r.keys.Master != nil && err != nil {
		return fmt.Errorf("read root keyset: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%s holds no root keyset (Tink JSON; it has %d bytes); restore the right one from a copy: %w",
			cmp.Or(r.keys.source(), "the configuration"), len(text), err)
	}
	cipher, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("read root keyset: %w", err)
	}
	r.handle, r.cipher = handle, cipher
	return nil
}

// decode reads a keyset, which the Master has encrypted if there is one.
func (k RootKeys) decode(text []byte) (*keyset.Handle, error) {
	from := keyset.NewJSONReader(bytes.NewReader(text))
	encrypted := bytes.Contains(text, []byte(`"encryptedKeyset"`))
	switch {
	case k.Master == nil && encrypted:
		return nil, errors.New("it is encrypted by a key that is kept elsewhere: set --root-key-uri")
	case k.Master == nil:
		return insecurecleartextkeyset.Read(from)
	case !encrypted:
		return nil, ErrClearText
	}
	return keyset.Read(from, k.Master)
}

// EncryptRoot has the Master encrypt a keyset file that is in clear text. It reports false if it was
// encrypted before. The keys stay the same.
func EncryptRoot(keys RootKeys) (bool, error) {
	release, err := keys.lock()
	if err != nil {
		return false, err
	}
	defer release()
	clearText := keys
	clearText.Master = nil
	text, err := os.ReadFile(keys.File)
	if err != nil {
		return false, fmt.Errorf("read root keyset: %w", err)
	}
	if _, err := keys.decode(text); !errors.Is(err, ErrClearText) {
		return false, err
	}
	handle, err := clearText.decode(text)
	if err != nil {
		return false, fmt.Errorf("read root keyset: %w", err)
	}
	return true, keys.write(handle)
}

// refresh reads the file again if it was replaced. The caller holds mu.
func (r *root) refresh() error {
	if r.keys.Keyset != "" {
		return nil
	}
	now, err := os.Stat(r.keys.File)
	if err != nil {
		return err
	}
	// The inode alone isn't enough: it may be reused for the new file.
	if os.SameFile(now, r.read) && now.ModTime().Equal(r.read.ModTime()) && now.Size() == r.read.Size() {
		return nil
	}
	return r.load()
}

// wrap seals data under the primary root key, and returns that key's id.
func (r *root) wrap(data []byte) ([]byte, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(); err != nil {
		return nil, "", fmt.Errorf("seal under root key: %w", err)
	}
	sealed, err := r.cipher.Encrypt(data, rootAAD)
	return sealed, r.primary(), err
}

func (r *root) unwrap(sealed []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data, err := r.cipher.Decrypt(sealed, rootAAD)
	if err != nil && r.refresh() == nil {
		data, err = r.cipher.Decrypt(sealed, rootAAD)
	}
	return data, err
}

// current returns the id of the key that seals.
func (r *root) current() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.primary()
}

// primary returns the id of the key that seals. The caller holds mu.
func (r *root) primary() string {
	entry, err := r.handle.Primary()
	if err != nil {
		return ""
	}
	return keyName(entry)
}

// add creates a new primary key. The old keys still open.
func (r *root) add() error {
	return r.change(func(manager *keyset.Manager) error {
		id, err := manager.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			return err
		}
		return manager.SetPrimary(id)
	})
}

// drop removes every key that is neither primary nor used.
func (r *root) drop(used map[string]bool) error {
	return r.change(func(manager *keyset.Manager) error {
		for n := range r.handle.Len() {
			entry, err := r.handle.Entry(n)
			if err != nil {
				return err
			}
			if entry.IsPrimary() || used[keyName(entry)] {
				continue
			}
			if err := manager.Delete(entry.KeyID()); err != nil {
				return err
			}
		}
		return nil
	})
}

func keyName(e *keyset.Entry) string { return strconv.FormatUint(uint64(e.KeyID()), 10) }

// change applies do to the present keyset in the file. A keyset from the environment is
// only changed by its operator, so it stays as it is.
func (r *root) change(do func(*keyset.Manager) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys.Keyset != "" {
		return nil
	}
	if err := r.refresh(); err != nil {
		return err
	}
	manager := keyset.NewManagerFromHandle(r.handle)
	if err := do(manager); err != nil {
		return err
	}
	handle, err := manager.Handle()
	if err != nil {
		return err
	}
	if err := r.keys.write(handle); err != nil {
		return err
	}
	return r.load()
}

func unhex(s string) ([]byte, error) {
	data, err := hex.DecodeString(s)
	if err != nil || len(data) == 0 {
		return nil, errors.New("no wrapped key")
	}
	return data, nil
}
