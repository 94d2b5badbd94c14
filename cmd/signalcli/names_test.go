package signalcli

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestNearest(t *testing.T) {
	known := []string{"AuditLogged", "BadgeGiven", "OrderPlaced", "OrderPayed", "UserJoined"}
	for name, want := range map[string]string{
		"AuditLoged":    "AuditLogged",
		"auditlogged":   "AuditLogged",
		"OrdrPlaced":    "OrderPlaced",
		"order_placed":  "OrderPlaced",
		"UserJoinedd":   "UserJoined",
		"badge":         "BadgeGiven",
		"Zebra":         "",
		"":              "",
		"xx":            "",
		"ÄuditLogged":   "AuditLogged",
		"SomethingElse": "",
	} {
		assert.Equal(t, want, nearest(name, known), name)
	}
	assert.Empty(t, nearest("AuditLogged", nil))
}

func TestDistance(t *testing.T) {
	assert.Equal(t, 3, distance("kitten", "sitting"))
	assert.Equal(t, 4, distance("", "four"))
	assert.Equal(t, 4, distance("four", ""))
	assert.Equal(t, 0, distance("same", "same"))
}

func TestChoose(t *testing.T) {
	infos := []entsignal.Info{{Name: "AuditLogged"}, {Name: "OrderPlaced"}, {Name: "UserJoined"}}
	for _, test := range []struct {
		selection
		want []string
	}{
		{selection{}, []string{"AuditLogged", "OrderPlaced", "UserJoined"}},
		{selection{names: []string{"UserJoined", "AuditLogged", "UserJoined"}}, []string{"AuditLogged", "UserJoined"}},
		{selection{exclude: []string{"AuditLogged"}}, []string{"OrderPlaced", "UserJoined"}},
		{selection{names: []string{"AuditLogged", "OrderPlaced"}, exclude: []string{"OrderPlaced"}}, []string{"AuditLogged"}},
	} {
		require.NoError(t, test.checkEmpty())
		chosen, err := test.choose(infos)
		require.NoError(t, err)
		var names []string
		for _, info := range chosen {
			names = append(names, info.Name)
		}
		assert.Equal(t, test.want, names)
	}
	_, err := selection{names: []string{"AuditLogged", "OrderPlace"}}.choose(infos)
	assert.EqualError(t, err, `unknown signal "OrderPlace" (did you mean "OrderPlaced"?); known: AuditLogged, OrderPlaced, UserJoined`)
	_, err = selection{exclude: []string{"Nobody"}}.choose(infos)
	assert.EqualError(t, err, `unknown signal "Nobody"; known: AuditLogged, OrderPlaced, UserJoined`)
	_, err = selection{exclude: []string{"AuditLogged", "OrderPlaced", "UserJoined"}}.choose(infos)
	assert.ErrorContains(t, err, "--exclude excludes all signals")
	assert.ErrorContains(t, selection{names: []string{"A", "B"}, exclude: []string{"B", "A"}}.checkEmpty(), "nothing to flush")

	chosen, err := selection{}.choose(nil)
	assert.NoError(t, err, "a bus without signals has nothing to do")
	assert.Empty(t, chosen)
}

// Names come from a command line. They choose among what there is, and an
// error shows them in one line.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"AuditLogged", "auditlogged", "", "Audit\nlevel=error", "\xff\xfe", "OrderPlaced,UserJoined", "'; DROP TABLE x; --", "ÄÖÜ"} {
		f.Add(s, "")
		f.Add("OrderPlaced", s)
	}
	infos := []entsignal.Info{{Name: "AuditLogged"}, {Name: "OrderPlaced"}, {Name: "UserJoined"}}
	f.Fuzz(func(t *testing.T, name, exclude string) {
		s := selection{names: []string{name}, exclude: []string{exclude}}
		chosen, err := s.choose(infos)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		require.Len(t, chosen, 1)
		require.Equal(t, name, chosen[0].Name)
		require.NotEqual(t, exclude, name)
		require.NoError(t, s.checkEmpty())
	})
}
