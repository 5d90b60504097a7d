//! Recorded answers of kube-apiserver, and cases that they lack.

mod replay;
