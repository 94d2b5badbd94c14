package table

import (
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"entgo.io/ent/schema/field"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

var errBad = errors.New("bad")

// The ids of a project's own.
type (
	ownNumber int32
	ownText   string
	shownText string // shown otherwise than it is
	scanned   struct{ text string }
	opaque    struct{ _ string }
)

func (s shownText) String() string { return "#" + string(s) }

func (s *scanned) Scan(src any) error {
	text, ok := src.(string)
	if !ok || text == "bad" {
		return errors.New("no good")
	}
	s.text = text
	return nil
}

func (s scanned) String() string { return s.text }

// parse reads an id of a field without a ValueScanner.
func parse[ID any](text string) (any, error) { return newIDCodec[ID](nil).parse(text) }

func TestIDIsReadFromTheTextThatItIsShownAs(t *testing.T) {
	for _, c := range []struct {
		parse func(string) (any, error)
		id    any
	}{
		{parse[int], 42},
		{parse[int], -1},
		{parse[int64], int64(1) << 62},
		{parse[uint8], uint8(255)},
		{parse[string], "a b"},
		{parse[string], ""},
		{parse[ownNumber], ownNumber(7)},
		{parse[ownText], ownText("x")},
		{parse[scanned], scanned{"y"}},
		{parse[netip.Addr], netip.MustParseAddr("2001:db8::1")},
	} {
		got, err := c.parse(formatID(c.id))
		require.NoError(t, err)
		assert.Equal(t, c.id, got)
	}
	other, err := parse[netip.Addr]("2001:DB8:0::1")
	require.NoError(t, err, "a type that reads texts may read several for one id")
	assert.Equal(t, "2001:db8::1", formatID(other))
}

// Ids without a text of their own.
type (
	wrapped   struct{ n int64 }     // by methods
	scannedBy struct{ text string } // by a ValueScanner
	spelled   struct{ text string } // with one for machines
)

func (w wrapped) Value() (driver.Value, error) { return w.n, nil }

func (w *wrapped) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return errBad
	}
	w.n = n
	return nil
}

func (s *spelled) MarshalText() ([]byte, error) { return []byte("s:" + s.text), nil }

func (s *spelled) UnmarshalText(text []byte) error {
	after, ok := strings.CutPrefix(string(text), "s:")
	if !ok {
		return errBad
	}
	s.text = after
	return nil
}

func TestIDWithoutATextIsShownAsItIsStored(t *testing.T) {
	text, err := codecTrip(newIDCodec[wrapped](nil), wrapped{-7})
	require.NoError(t, err)
	assert.Equal(t, "-7", text)

	var scanner field.TypeValueScanner[scannedBy] = field.ValueScannerFunc[scannedBy, *stdsql.NullString]{
		V: func(f scannedBy) (driver.Value, error) { return "f" + f.text, nil },
		S: func(v *stdsql.NullString) (scannedBy, error) {
			return scannedBy{strings.TrimPrefix(v.String, "f")}, nil
		},
	}
	text, err = codecTrip(newIDCodec(&scanner), scannedBy{"x"})
	require.NoError(t, err)
	assert.Equal(t, "fx", text)

	text, err = codecTrip(newIDCodec[*spelled](nil), &spelled{"a"})
	require.NoError(t, err)
	assert.Equal(t, "s:a", text)

	for id, want := range map[string]string{"plain": "plain", "\x00\xff": "0x00ff", "0x00": "0x30783030", "": ""} {
		text, err = codecTrip(newIDCodec[[]byte](nil), []byte(id))
		require.NoError(t, err)
		assert.Equal(t, want, text)
	}

	var unset field.TypeValueScanner[scannedBy]
	_, err = newIDCodec(&unset).value(scannedBy{})
	assert.ErrorContains(t, err, "import the ent project's package runtime")
}

// codecTrip returns the text of an id that can be read back from it, and from
// what is stored.
func codecTrip[ID any](c idCodec[ID], id ID) (string, error) {
	text := c.text(id)
	back, err := c.parse(text)
	if err != nil {
		return text, err
	}
	if !reflect.DeepEqual(id, back) {
		return text, fmt.Errorf("%v became %v", id, back)
	}
	return text, nil
}

func TestTextThatCanBeNoIDSaysWhatWasExpected(t *testing.T) {
	for _, c := range []struct {
		parse      func(string) (any, error)
		text, want string
	}{
		{parse[int], "abc", "expected a whole number"},
		{parse[int], "1e3", "expected a whole number"},
		{parse[uint8], "-1", "expected a whole number from 0"},
		{parse[uint8], "256", "expected a whole number from 0 of 8 bits"},
		{parse[ownNumber], "99999999999", "expected a whole number of 32 bits"},
		{parse[netip.Addr], "7", `expected a netip.Addr: ParseAddr("7"): unable to parse IP`},
		{parse[scanned], "bad", "expected a table.scanned: no good"},
		{parse[shownText], "#x", "it can't be read as a table.shownText"},
		{parse[opaque], "x", "a table.opaque can't be read from a text: it has no UnmarshalText method"},
	} {
		_, err := c.parse(c.text)
		assert.EqualError(t, err, c.want)
	}
	err := fmt.Errorf("x: %w", &entsignal.InvalidIDError{Signal: "OrderPlaced", ID: "a\nb", Err: errBad})
	assert.EqualError(t, err, `x: entsignal: signal OrderPlaced: "a\nb" is not a valid id: bad`)
	assert.ErrorIs(t, err, errBad)
}

func FuzzParseID(f *testing.F) {
	for _, text := range []string{"", "0", "-1", "+1", "007", "9223372036854775807", "9223372036854775808", "1e3", "a\x00b", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := parse[string](text)
		require.NoError(t, err)
		require.Equal(t, text, id)
		if id, err := parse[int](text); err == nil {
			again, err := parse[int](formatID(id))
			require.NoError(t, err)
			require.Equal(t, id, again)
		}
	})
}

func FuzzTextOfAnID(f *testing.F) {
	for _, id := range []string{"1", "", "a b", "\xff", "\u202e"} {
		f.Add(id, int64(1))
	}
	type text string
	f.Fuzz(func(t *testing.T, id string, n int64) {
		assert.Equal(t, id, formatID(id), "consumers know it by this")
		assert.Equal(t, id, formatID(text(id)))
		for _, id := range []any{n, int(n), int32(n), uint64(n)} {
			assert.Equal(t, fmt.Sprint(id), formatID(id))
		}
		back, err := strconv.ParseInt(formatID(n), 10, 64)
		require.NoError(t, err)
		assert.Equal(t, n, back)
	})
}
