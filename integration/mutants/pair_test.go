package mutants_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/pair"
)

// caughtByBooks says what the books of examples/pair show of a mutant.
var caughtByBooks = map[string]struct {
	by      func(pair.Verdict) int
	promise string
}{
	"early_ack":          {func(v pair.Verdict) int { return v.Lost }, "a message is acknowledged after the commit"},
	"late_key":           {func(v pair.Verdict) int { return v.Twice }, "the key is there before the handler runs"},
	"key_without_source": {func(v pair.Verdict) int { return v.Lost }, "messages of two sources with one id are two"},
}

func eachMutantOfTheInboxIsCaught(t *testing.T, binary string) {
	config := pair.Config{Binary: binary, AMQP: testdb.Env(t, "ENTSIGNAL_TEST_AMQP"), Kills: 3, Cuts: 6}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		assert.Empty(t, pair.Run(t, config).Violations(), "not the mutants are caught, the harness is broken")
	})
	for name, c := range caughtByBooks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := config
			config.Env = []string{mutantEnv + "=" + name}
			var v pair.Verdict
			for range tries {
				if v = pair.Run(t, config); c.by(v) > 0 {
					break
				}
			}
			t.Logf("%+v", v)
			assert.Positive(t, c.by(v), "the mutant survived the check that %s", c.promise)
			assert.NotEmpty(t, v.Violations())
		})
	}
}
