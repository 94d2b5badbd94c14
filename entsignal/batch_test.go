package entsignal

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An id may be a text that came from outside. It must not forge a line of a
// log, nor fill it.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"1", "T-9", "", "a b", "x\nlevel=ERROR msg=forged", "\x1b[2J", "\xff", "\u202e", strings.Repeat("é", 200)} {
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

		shown := showID(id)
		assert.True(t, utf8.ValidString(shown))
		assert.LessOrEqual(t, len(shown), 500)
		for _, r := range shown {
			assert.True(t, strconv.IsPrint(r), "%q", shown)
		}
	})
}

func TestErrorsShowPlainIDsAsTheyAre(t *testing.T) {
	for id, want := range map[string]string{
		"42": "42", "-7": "-7", "T-9/ä": "T-9/ä", "9d1f6a0e-0000-4000-8000-000000000000": "9d1f6a0e-0000-4000-8000-000000000000",
		"": `""`, "a b": `"a b"`, "a:b": `"a:b"`, "x\nlevel=ERROR": `"x\nlevel=ERROR"`,
		strings.Repeat("é", 60): `"` + strings.Repeat("é", 50) + `"…`,
	} {
		assert.Equal(t, want, showID(id))
	}
}
