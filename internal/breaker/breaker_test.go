package breaker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBreakerPausesForAtLeastAsLongAsTheAttemptTook(t *testing.T) {
	var k Breaker
	now := time.Now()
	for range freeFails {
		k.Note(now, Blocked, 5*time.Second)
		assert.Equal(t, Admitted, k.Admit(now))
	}
	k.Note(now, Blocked, 5*time.Second)
	assert.Equal(t, Refused, k.Admit(now.Add(5*time.Second-1)))
	assert.Equal(t, AdmittedToProbe, k.Admit(now.Add(5*time.Second)))
	assert.Equal(t, Refused, k.Admit(now.Add(time.Hour)), "one commit at a time probes")
	k.Note(now, Blocked, 0) // by a flush
	assert.Equal(t, Refused, k.Admit(now.Add(time.Hour)), "the probe isn't over")
	k.EndProbe()
	assert.Equal(t, AdmittedToProbe, k.Admit(now.Add(time.Hour)))
	k.Note(now, Free, 0)
	k.EndProbe()
	assert.Equal(t, Admitted, k.Admit(now))
}

func TestSilenceOpensTheBreakerOnlyIfNothingElseIsHeard(t *testing.T) {
	var k Breaker
	now := time.Now()
	for range 10 { // a slow message between healthy ones
		for range freeFails {
			news, _ := k.Note(now, Silent, time.Second)
			assert.False(t, news)
			assert.False(t, k.Noticed())
		}
		news, _ := k.Note(now, Free, 0)
		assert.False(t, news)
		assert.False(t, k.IsOpen())
	}
	for i := range freeFails + 1 {
		news, _ := k.Note(now, Silent, time.Second)
		assert.Equal(t, i == freeFails, news)
	}
	assert.True(t, k.IsOpen())
	assert.True(t, k.Noticed())
	news, _ := k.Note(now, Free, 0)
	assert.True(t, news)
}

func TestBreakerForgetsAnOutageThatNothingWaitsFor(t *testing.T) {
	var k Breaker
	now := time.Now()
	news, _ := k.Forget(now)
	assert.False(t, news, "there was none")
	for range freeFails + 1 {
		k.Note(now, Blocked, 0)
	}
	news, _ = k.Forget(now.Add(forgetAfter - 1))
	assert.False(t, news, "somebody may have sent the last signal on another way")
	k.Note(now.Add(time.Second), Blocked, 0)
	assert.True(t, k.IsOpen())
	news, since := k.Forget(now.Add(forgetAfter + time.Second))
	assert.True(t, news)
	assert.Equal(t, now, since)
	assert.False(t, k.IsOpen())
	assert.False(t, k.Noticed())
	news, _ = k.Forget(now.Add(time.Hour))
	assert.False(t, news, "it is told once")
	news, _ = k.Note(now.Add(time.Hour), Blocked, 0)
	assert.True(t, news)
}
