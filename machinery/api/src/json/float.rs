//! The shortest digits that say a float, laid out as Go does.

/// Appends a finite number, with an exponent of `exponent_width` digits at least, or without one. The digits are ryu's:
/// of two texts equally near, it and Go take the even one, the standard library the greater.
pub(crate) fn write(out: &mut Vec<u8>, value: f64, has_exponent: bool, exponent_width: usize) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let (digits, point) = shortest(value.abs());
    if has_exponent {
        let exponent = point - 1;
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(format!("{:0exponent_width$}", exponent.abs()).as_bytes());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(&digits);
    } else {
        let whole = digits.len().min(point as usize);
        out.extend_from_slice(&digits[..whole]);
        out.extend(std::iter::repeat_n(b'0', point as usize - whole));
        if whole < digits.len() {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

/// Digits without zeros at either end (a zero is `0`), and how many of them stand before the point.
fn shortest(value: f64) -> (Vec<u8>, i32) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [whole.as_bytes(), fraction.as_bytes()].concat();
    let mut point = whole.len() as i32 + exponent.parse::<i32>().unwrap_or(0);
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.drain(..zeros);
    point -= zeros as i32;
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits.is_empty() { (vec![b'0'], 1) } else { (digits, point) }
}
