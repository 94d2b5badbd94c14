package trace

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTraceContextIsStoredAndSentOnlyIfItIsValid(t *testing.T) {
	const (
		id     = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
		parent = "00-" + id + "-01"
	)
	for _, ok := range []string{parent, "00-" + id + "-00", "00-" + id + "-ff", "01-" + id + "-01", "cc-" + id + "-01-what.comes"} {
		p, s := Valid(ok, "vendor=1,other=a b")
		assert.Equal(t, ok, p)
		assert.Equal(t, "vendor=1,other=a b", s)
	}
	for _, bad := range []string{
		"", "00", parent + "-more", parent[:54], strings.ToUpper(parent), "ff-" + id + "-01", "00-" + id + "-0g", "0x-" + id + "-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
		"00_" + id + "-01", "cc-" + id + "-01what", "cc-" + id + "-01-\x00", "cc-" + id + "-01-" + strings.Repeat("x", maxTraceparent),
	} {
		p, s := Valid(bad, "vendor=1")
		assert.Empty(t, p, bad)
		assert.Empty(t, s, bad)
	}
	for _, bad := range []string{"vendor=\x00", "vendor=ä", "v=" + strings.Repeat("x", maxTracestate)} {
		p, s := Valid(parent, bad)
		assert.Equal(t, parent, p)
		assert.Empty(t, s)
	}
}

func TestTraceContextOfARowWithoutOneIsEmpty(t *testing.T) {
	p, s := State{}.Context()
	assert.Empty(t, p+s)
}
