package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	kills     = 5  // of each bank
	sent      = 30 // transfers by a process until it is killed
	sendEvery = 5 * time.Millisecond
)

// demo has both banks run as processes and kills them again and again. Then it lets them
// settle what is under way, and holds their books against each other. Its databases and
// queues are its own, on the servers of the environment.
func demo(ctx context.Context, log *slog.Logger, stdout, stderr io.Writer) (err error) {
	remove, err := ownPlace(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := setup(ctx, log); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "two banks with %d accounts of %s each\n", accounts, money(start))
	var (
		both   sync.WaitGroup
		killed = make([]error, 2)
	)
	for i, name := range []string{north, south} {
		both.Go(func() { killed[i] = killAgainAndAgain(ctx, name, stderr) })
	}
	both.Wait()
	if err := errors.Join(killed...); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "each was killed %d times\n", kills)
	if err := letSettle(ctx, log); err != nil {
		return err
	}
	return audit(ctx, log, stdout)
}

// killAgainAndAgain runs a bank as a process, which it kills in the middle of its work.
func killAgainAndAgain(ctx context.Context, name string, stderr io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	for range kills {
		bank := exec.CommandContext(ctx, program, "serve", name, "-every", sendEvery.String())
		bank.Stderr = stderr
		out, err := bank.StdoutPipe()
		if err != nil {
			return err
		}
		if err := bank.Start(); err != nil {
			return err
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < sent && lines.Scan(); n++ {
		}
		_ = bank.Process.Kill() // in the middle of its work
		err = bank.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !wasKilled(bank) {
			return fmt.Errorf("the process of %s ended by itself: %w", name, err)
		}
	}
	return nil
}

func wasKilled(c *exec.Cmd) bool {
	status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signal() == syscall.SIGKILL
}

// letSettle runs both banks until no money is under way.
func letSettle(ctx context.Context, log *slog.Logger) (err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	var (
		both  sync.WaitGroup
		banks []*bank
	)
	defer func() {
		stop()
		both.Wait()
		for _, b := range banks {
			err = errors.Join(err, b.close())
		}
	}()
	for _, name := range []string{north, south} {
		b, err := open(log, name)
		if err != nil {
			return err
		}
		banks = append(banks, b)
		both.Go(func() { _ = b.serve(serving, log, 0, io.Discard) })
	}
	for {
		settled := true
		for _, b := range banks {
			done, err := b.settled(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
			settled = settled && done
		}
		if settled {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("money is still under way: %w", ctx.Err())
		}
	}
}
