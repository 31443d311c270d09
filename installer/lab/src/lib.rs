//! Throwaway hosts in containers on this machine.
