//! int8 neural vision on microcontrollers: no_std, no heap, the same bytes on host and board.
#![no_std]
