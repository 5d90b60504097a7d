//! An object's members, written as they come; a value is written behind its name.

use super::write_string;

pub struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Members<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Members { out, is_first: true }
    }

    /// Where the value of this member belongs.
    pub fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        write_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// A text, left out if it is empty.
    pub fn string(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            write_string(self.name(name), value);
        }
    }

    pub fn end(self) {
        self.out.push(b'}');
    }
}
