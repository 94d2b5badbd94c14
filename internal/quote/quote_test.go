package quote

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// An id may be a text that came from outside. It must not forge a line of a
// log, nor fill it.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{"1", "T-9", "", "a b", "x\nlevel=ERROR msg=forged", "\x1b[2J", "\xff", "\u202e", strings.Repeat("é", 200)} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		shown := ID(id)
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
		assert.Equal(t, want, ID(id))
	}
}
