// The contrast of each text of the page with what is behind it, by its place and words; it leaves
// luminance() behind, for the tests.
() => {
    window.luminance = (colour) => {
        const [r, g, b] = colour.match(/[0-9.]+/g).map((part) => {
            const value = part / 255;
            return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const rect = each.previousElementSibling;
            if (each.tagName === "text" && rect?.tagName === "rect") {
                const fill = getComputedStyle(rect).fill;
                if (fill !== "none") return fill;
                return getComputedStyle(each.parentElement.querySelector("rect")).fill;
            }
            if (each.tagName === "text") return getComputedStyle(each.parentElement.querySelector("rect")).fill;
            const colour = getComputedStyle(each).backgroundColor;
            if (!/, 0\)$/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const found = {};
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
        if (!text || element.closest("noscript, .skip, desc") || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const one = luminance(element.tagName === "text" ? style.fill : style.color), other = luminance(behind(element));
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        const key = `${element.tagName} ${element.className?.baseVal ?? element.className} ${text}`;
        found[key] = Math.min(found[key] ?? 99, ratio);
    }
    return found;
}
