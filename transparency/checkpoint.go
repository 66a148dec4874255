package transparency

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Checkpoint is the hash of a tree at a size (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string // the log, and which one in its lineage
	Size   uint64
	Root   Hash
	Note   string // with its signature, as it was signed

	Segment Segment // that it was signed for, if it is of one
	Removal Removal // the same
}

// OriginOf returns the origin of a log whose identity is id.
func OriginOf(log Log, id string) string { return "integrations/" + id + "/" + string(log) }

// originSyntax is what OriginOf returns.
var originSyntax = regexp.MustCompile(`^integrations/[A-Za-z0-9.-]{1,64}/(integrations|approvals|calls|access)$`)

// Log returns the log of the checkpoint.
func (c Checkpoint) Log() Log { return Log(c.Origin[strings.LastIndexByte(c.Origin, '/')+1:]) }

// body returns what is signed.
func (c Checkpoint) body() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n" + c.Segment.line() + c.Removal.line()
}

// A Key signs checkpoints (Ed25519). Its seed can't be printed.
type Key struct{ private *ed25519.PrivateKey }

// NewKey returns the key of a seed of 32 bytes.
func NewKey(seed []byte) (Key, error) {
	if len(seed) != ed25519.SeedSize {
		return Key{}, fmt.Errorf("the seed of a key has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	private := ed25519.NewKeyFromSeed(seed)
	return Key{&private}, nil
}

// String implements fmt.Stringer without the key.
func (Key) String() string { return "[signing key]" }

// GoString implements fmt.GoStringer without the key.
func (Key) GoString() string { return "[signing key]" }

// Public returns the public key in base64, which is the same for all logs and origins.
func (k Key) Public() string {
	return base64.StdEncoding.EncodeToString(k.private.Public().(ed25519.PublicKey))
}

// Verifier returns the verifier key of an origin, as a signed note has it (vkey).
func (k Key) Verifier(origin string) string {
	return verifierKey(origin, k.private.Public().(ed25519.PublicKey))
}

const ed25519Algorithm = 1 // of signed notes

func verifierKey(origin string, public ed25519.PublicKey) string {
	encoded := append([]byte{ed25519Algorithm}, public...)
	return fmt.Sprintf("%s+%08x+%s", origin, keyHash(origin, encoded), base64.StdEncoding.EncodeToString(encoded))
}

func keyHash(origin string, encoded []byte) uint32 {
	sum := sha256.Sum256(append([]byte(origin+"\n"), encoded...))
	return binary.BigEndian.Uint32(sum[:])
}

// Sign returns the checkpoint with its note.
func (k Key) Sign(c Checkpoint) (Checkpoint, error) {
	signed, err := note.Sign(&note.Note{Text: c.body()}, signer{k, c.Origin})
	if err != nil {
		return c, fmt.Errorf("sign a checkpoint: %w", err)
	}
	c.Note = string(signed)
	return c, nil
}

// signer is a note.Signer.
type signer struct {
	Key

	origin string
}

func (s signer) Name() string { return s.origin }
func (s signer) KeyHash() uint32 {
	return keyHash(s.origin, append([]byte{ed25519Algorithm}, s.private.Public().(ed25519.PublicKey)...))
}
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(*s.private, msg), nil }

// ErrOtherKey means that a checkpoint is not signed by the key that was expected.
var ErrOtherKey = errors.New("the checkpoint is not signed with this key")

// ParseKey reads a public key: its 32 bytes in base64, as Public returns them, or a verifier
// key of a signed note.
func ParseKey(text string) (ed25519.PublicKey, error) {
	text = strings.TrimSpace(text)
	if at := strings.LastIndexByte(text, '+'); strings.Count(text, "+") >= 2 && at > 0 {
		if _, err := note.NewVerifier(text); err == nil {
			_, encoded, _ := strings.Cut(text[strings.IndexByte(text, '+')+1:], "+")
			data, err := base64.StdEncoding.DecodeString(encoded)
			if err == nil {
				return ed25519.PublicKey(data[1:]), nil
			}
		}
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) != ed25519.PublicKeySize {
		return nil, errors.New("a key is an Ed25519 public key: 32 bytes in base64, or a verifier key such as origin+0a1b2c3d+…")
	}
	return data, nil
}

// ParseCheckpoint reads a signed checkpoint, and verifies its signature with a key.
func ParseCheckpoint(text string, key ed25519.PublicKey) (Checkpoint, error) {
	origin, _, _ := strings.Cut(text, "\n")
	if !originSyntax.MatchString(origin) {
		return Checkpoint{}, errors.New("this is not a checkpoint of this service: its first line must be an origin such as integrations/ID/calls")
	}
	verifier, err := note.NewVerifier(verifierKey(origin, key))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read a checkpoint: %w", err)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		if _, unverified := errors.AsType[*note.UnverifiedNoteError](err); unverified {
			return Checkpoint{}, ErrOtherKey
		}
		if _, invalid := errors.AsType[*note.InvalidSignatureError](err); invalid {
			return Checkpoint{}, ErrOtherKey
		}
		return Checkpoint{}, fmt.Errorf("read a checkpoint: %w", err)
	}
	c := Checkpoint{Origin: origin, Note: text}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 {
		return Checkpoint{}, errors.New("read a checkpoint: it has no size and hash")
	}
	if c.Size, err = strconv.ParseUint(lines[1], 10, 63); err != nil || strconv.FormatUint(c.Size, 10) != lines[1] {
		return Checkpoint{}, errors.New("read a checkpoint: the second line must be its size")
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return Checkpoint{}, fmt.Errorf("read a checkpoint: the third line: %w", err)
	}
	c.Segment, c.Removal = parseSegment(lines[3:]), parseRemoval(lines[3:])
	return c, nil
}

// MaxHeld bounds the bytes of a file of checkpoints: some 50,000 of them.
const MaxHeld = 16 << 20

// ParseHeld reads a file of checkpoints, one after the other, separated by empty lines. Those
// of other logs are left out. The result is ordered by size.
func ParseHeld(text []byte, key ed25519.PublicKey, log Log) ([]Checkpoint, error) {
	var all []Checkpoint
	for n, one := range SplitNotes(text) {
		c, err := ParseCheckpoint(one, key)
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", n+1, err)
		}
		if c.Log() == log {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return all, nil
}

// HeldSizes returns the sizes of the checkpoints of a log in a file, without verifying them.
func HeldSizes(text []byte, log Log) []uint64 {
	var sizes []uint64
	for _, one := range SplitNotes(text) {
		lines := strings.SplitN(one, "\n", 3)
		if len(lines) < 3 || !strings.HasSuffix(lines[0], "/"+string(log)) {
			continue
		}
		if size, err := strconv.ParseUint(lines[1], 10, 63); err == nil {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// SplitNotes splits a file of signed notes. A note ends with its signatures, lines that begin
// with a dash.
func SplitNotes(text []byte) []string {
	var notes []string
	var one strings.Builder
	signed := false
	for line := range bytes.Lines(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))) {
		isSignature := bytes.HasPrefix(line, []byte("— "))
		if signed && !isSignature {
			notes = append(notes, one.String())
			one.Reset()
			signed = false
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
		}
		if one.Len() == 0 && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		signed = signed || isSignature
		one.Write(line)
	}
	if one.Len() > 0 {
		notes = append(notes, one.String())
	}
	return notes
}
