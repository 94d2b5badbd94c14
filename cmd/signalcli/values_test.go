package signalcli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/cmd/internal/cli"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"5s":    5 * time.Second,
		"5":     5 * time.Second,
		"0.5":   500 * time.Millisecond,
		".5":    500 * time.Millisecond,
		"+3":    3 * time.Second,
		"0":     0,
		"0s":    0,
		"1m30s": 90 * time.Second,
		"24h":   24 * time.Hour,
		"86400": 24 * time.Hour,
	} {
		got, err := parseDuration(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
	for in, want := range map[string]string{
		"":                     "not a duration",
		" ":                    "not a duration",
		" 5s":                  "not a duration",
		"5 s":                  "not a duration",
		"abc":                  "not a duration",
		"NaN":                  "not a duration",
		"Inf":                  "not a duration",
		"1e3":                  "not a duration",
		"0x10":                 "not a duration",
		"1_000":                "not a duration",
		"5s3":                  "not a duration", // 5s3s would be one
		"1h30":                 "not a duration",
		"1,5":                  "not a duration",
		".":                    "not a duration",
		"--5":                  "not a duration",
		"99999999999999999999": "not a duration",
		"-1":                   "negative",
		"-1s":                  "negative",
		"-0.001":               "negative",
		"86400.001":            "more than 24h0m0s",
		"1000h":                "more than 24h0m0s",
	} {
		_, err := parseDuration(in)
		assert.EqualError(t, err, want, in)
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"5s", "3", "0.5", "-1", "NaN", "1e9", "5s3", "", ".", "+.5", "1h2m3s", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDuration(s)
		if err != nil {
			return
		}
		if d < 0 || d > maxDuration {
			t.Fatalf("%q is %v", s, d)
		}
		if again, err := parseDuration(d.String()); err != nil || again != d {
			t.Fatalf("%q is %v, which is %v, %v", s, d, again, err)
		}
	})
}

func TestDurationThatMustNotBeZero(t *testing.T) {
	var v durationValue
	assert.ErrorContains(t, v.Set("0"), "not above 0; expected a duration such as 5s, or a number of seconds such as 0.5, above 0 and at most 24h0m0s")
	assert.Error(t, v.Set("0.0000000001"), "less than can be told from 0")
	v.zero = true
	assert.NoError(t, v.Set("0"))
}

func TestCountAndEnum(t *testing.T) {
	c := countValue{most: 10}
	for _, bad := range []string{"", "0", "-1", "11", "1.5", "x", "99999999999999999999"} {
		assert.EqualError(t, c.Set(bad), "expected a whole number from 1 to 10", bad)
	}
	require.NoError(t, c.Set("10"))
	assert.Equal(t, "10", c.String())
	e := cli.NewEnum("text", "text", "json")
	assert.EqualError(t, e.Set("JSON"), "expected one of: text, json")
	assert.Equal(t, "text", e.String())
	require.NoError(t, e.Set("json"))
	assert.Equal(t, "json", e.String())
}
