package main

import (
	"errors"
	"strings"
	"syscall"
)

// failures are several errors, printed on one line.
type failures []error

func (f failures) Error() string {
	var all []string
	for _, one := range f {
		all = append(all, one.Error())
	}
	return strings.Join(all, "; ")
}

func (f failures) Unwrap() []error { return f }

// join combines errors and leaves out nil.
func join(errs ...error) error {
	var failed failures
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed
}

// isKernel tells whether every failure in err is the kernel's answer with that number.
func isKernel(err error, errno syscall.Errno) bool {
	if joined, many := err.(interface{ Unwrap() []error }); many {
		for _, one := range joined.Unwrap() {
			if !isKernel(one, errno) {
				return false
			}
		}
		return true
	}
	return errors.Is(err, errno)
}
