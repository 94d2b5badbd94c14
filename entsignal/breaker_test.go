package entsignal

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBreakerPausesForAtLeastAsLongAsTheAttemptTook(t *testing.T) {
	var k breaker
	now := time.Now()
	for range freeFails {
		k.note(now, wayBlocked, 5*time.Second)
		assert.Equal(t, admitted, k.admit(now))
	}
	k.note(now, wayBlocked, 5*time.Second)
	assert.Equal(t, refused, k.admit(now.Add(5*time.Second-1)))
	assert.Equal(t, admittedToProbe, k.admit(now.Add(5*time.Second)))
	assert.Equal(t, refused, k.admit(now.Add(time.Hour)), "one commit at a time probes")
	k.note(now, wayBlocked, 0) // by a flush
	assert.Equal(t, refused, k.admit(now.Add(time.Hour)), "the probe isn't over")
	k.endProbe()
	assert.Equal(t, admittedToProbe, k.admit(now.Add(time.Hour)))
	k.note(now, wayFree, 0)
	k.endProbe()
	assert.Equal(t, admitted, k.admit(now))
}

func TestSilenceOpensTheBreakerOnlyIfNothingElseIsHeard(t *testing.T) {
	var k breaker
	now := time.Now()
	for range 10 { // a slow message between healthy ones
		for range freeFails {
			news, _ := k.note(now, waySilent, time.Second)
			assert.False(t, news)
			assert.False(t, k.noticed())
		}
		news, _ := k.note(now, wayFree, 0)
		assert.False(t, news)
		assert.False(t, k.isOpen())
	}
	for i := range freeFails + 1 {
		news, _ := k.note(now, waySilent, time.Second)
		assert.Equal(t, i == freeFails, news)
	}
	assert.True(t, k.isOpen())
	assert.True(t, k.noticed())
	news, _ := k.note(now, wayFree, 0)
	assert.True(t, news)
}
