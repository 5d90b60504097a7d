//! JSON written straight into bytes, in the order in which it is told. Commas look after themselves: a value that does
//! not follow `{`, `[` or `:` follows another value.

pub(crate) struct Writer {
    out: Vec<u8>,
}

#[cfg(test)]
thread_local! {
    /// How many bytes this thread has written.
    pub(crate) static WRITTEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Writer {
    pub fn new() -> Writer {
        Writer { out: Vec::with_capacity(64 << 10) }
    }

    pub fn finish(self) -> Vec<u8> {
        #[cfg(test)]
        WRITTEN.set(WRITTEN.get() + self.out.len());
        self.out
    }

    pub fn object(&mut self, members: impl FnOnce(&mut Writer)) {
        self.separate();
        self.out.push(b'{');
        members(self);
        self.out.push(b'}');
    }

    pub fn array(&mut self, elements: impl FnOnce(&mut Writer)) {
        self.separate();
        self.out.push(b'[');
        elements(self);
        self.out.push(b']');
    }

    pub fn key(&mut self, name: &str) {
        self.string(name);
        self.out.push(b':');
    }

    pub fn string(&mut self, text: &str) {
        self.separate();
        // Writing to memory and serializing a string cannot fail.
        let _ = serde_json::to_writer(&mut self.out, text);
    }

    /// A value that is JSON text already.
    pub fn raw(&mut self, text: &str) {
        self.separate();
        self.out.extend_from_slice(text.as_bytes());
    }

    pub fn value(&mut self, value: &serde_json::Value) {
        self.separate();
        let _ = serde_json::to_writer(&mut self.out, value);
    }

    pub fn member(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    pub fn raw_member(&mut self, name: &str, text: &str) {
        self.key(name);
        self.raw(text);
    }

    pub fn object_member(&mut self, name: &str, members: impl FnOnce(&mut Writer)) {
        self.key(name);
        self.object(members);
    }

    pub fn strings_member<'s>(&mut self, name: &str, strings: impl IntoIterator<Item = &'s str>) {
        self.key(name);
        self.array(|w| strings.into_iter().for_each(|text| w.string(text)));
    }

    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
}
