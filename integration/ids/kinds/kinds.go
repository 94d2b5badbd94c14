// Package kinds has types of a project's own that are ids, and keys, of its
// signals. The database knows none of them as Go does.
package kinds

import (
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"entgo.io/ent/schema/field"
	"github.com/google/uuid"
)

// Number is a whole number that the database counts. It has no text of its own.
type Number struct{ N int }

// NumberScanner is the ValueScanner of a Number.
var NumberScanner = field.ValueScannerFunc[Number, *sql.NullInt64]{
	V: func(n Number) (driver.Value, error) { return int64(n.N), nil },
	S: func(v *sql.NullInt64) (Number, error) { return Number{int(v.Int64)}, nil },
}

// Ref is shown as "ref-7", and stored without the prefix.
type Ref struct{ text string }

var refs atomic.Int64

// NewRef returns a new one; each is higher than those before.
func NewRef() Ref { return RefOf(int(refs.Add(1))) }

// RefOf returns that of a number.
func RefOf(n int) Ref { return Ref{fmt.Sprintf("%08d", n)} }

// String returns the text.
func (r Ref) String() string { return "ref-" + r.text }

// RefScanner is the ValueScanner of a Ref.
var RefScanner = field.ValueScannerFunc[Ref, *sql.NullString]{
	V: func(r Ref) (driver.Value, error) {
		if r.text == "" {
			return nil, errors.New("an empty ref")
		}
		return r.text, nil
	},
	S: func(v *sql.NullString) (Ref, error) { return Ref{strings.TrimPrefix(v.String, "ref-")}, nil },
}

// Code is read from a text, as TextValueScanner asks for it, through a pointer.
type Code struct{ text string }

// NewCode returns a new one.
func NewCode() *Code { return &Code{rand.Text()} }

// CodeOf returns that of a text.
func CodeOf(text string) *Code { return &Code{text} }

// MarshalText implements encoding.TextMarshaler.
func (c *Code) MarshalText() ([]byte, error) { return []byte("code:" + c.text), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Code) UnmarshalText(text []byte) error {
	after, ok := strings.CutPrefix(string(text), "code:")
	if !ok {
		return fmt.Errorf("%q is no code", text)
	}
	c.text = after
	return nil
}

// Packed is read from bytes, as BinaryValueScanner asks for it. It has no text.
type Packed struct{ b [8]byte }

// NewPacked returns a new one.
func NewPacked() *Packed {
	p := &Packed{}
	_, _ = rand.Read(p.b[:])
	p.b[0] = 0xff // never a text
	return p
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (p *Packed) MarshalBinary() ([]byte, error) { return p.b[:], nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (p *Packed) UnmarshalBinary(b []byte) error {
	if len(b) != len(p.b) {
		return fmt.Errorf("%d bytes", len(b))
	}
	copy(p.b[:], b)
	return nil
}

// NewBytes returns bytes that are no text.
func NewBytes() []byte {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return append(b, 0xff)
}

// UUID hides a UUID. It has no text.
type UUID struct{ uuid uuid.UUID }

// NewUUID returns a new one.
func NewUUID() UUID { return UUID{uuid.New()} }

// Scan implements sql.Scanner.
func (u *UUID) Scan(src any) error { return u.uuid.Scan(src) }

// Value implements driver.Valuer.
func (u UUID) Value() (driver.Value, error) { return u.uuid.Value() }

// Serial is a text in Go and a number in the database.
type Serial string

var serials atomic.Int64

// NewSerial returns a new one.
func NewSerial() Serial { return Serial(strconv.FormatInt(serials.Add(1)+1<<40, 10)) }

// Value implements driver.Valuer.
func (s Serial) Value() (driver.Value, error) { return strconv.ParseInt(string(s), 10, 64) }

// Scan implements sql.Scanner.
func (s *Serial) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a serial from %T", src)
	}
	*s = Serial(strconv.FormatInt(n, 10))
	return nil
}

// Hash is an array of bytes, stored as they are and shown in hexadecimal.
type Hash [16]byte

// NewHash returns a new one.
func NewHash() (h Hash) {
	_, _ = rand.Read(h[:])
	return h
}

// String returns the text.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return fmt.Errorf("%d digits", len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Value implements driver.Valuer.
func (h Hash) Value() (driver.Value, error) { return h[:], nil }

// Scan implements sql.Scanner.
func (h *Hash) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(h) {
		return fmt.Errorf("a hash from %T", src)
	}
	copy(h[:], b)
	return nil
}
